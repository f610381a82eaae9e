DROP TRIGGER follows_end ON follows;
DROP FUNCTION note_follow_end;
