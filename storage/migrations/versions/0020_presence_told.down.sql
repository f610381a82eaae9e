DROP TRIGGER users_presence_told ON users;
DROP FUNCTION note_presence_change();
