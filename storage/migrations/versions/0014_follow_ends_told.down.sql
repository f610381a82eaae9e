DROP TRIGGER follows_end_told ON follows;
DROP FUNCTION note_follower_change();
ALTER TABLE users DROP COLUMN access_version, DROP COLUMN access_changed_at;
