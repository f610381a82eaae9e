-- Whoever stops following is asked again about everything they have open, as the one who follows no
-- more: posts and presences for followers, too, of which there may be thousands.
ALTER TABLE users
    ADD COLUMN access_version integer NOT NULL DEFAULT 1,
    ADD COLUMN access_changed_at timestamptz;
CREATE INDEX users_access_changed_idx ON users (access_changed_at) WHERE access_changed_at IS NOT NULL;

CREATE FUNCTION note_follower_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE version integer;
BEGIN
    UPDATE users SET access_version = access_version + 1, access_changed_at = clock_timestamp()
    WHERE id = OLD.follower_id RETURNING access_version INTO version;
    IF version IS NOT NULL THEN
        PERFORM pg_notify('access_changes', 'user:' || OLD.follower_id || ' ' || version);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER follows_end_told AFTER DELETE ON follows
    FOR EACH ROW EXECUTE FUNCTION note_follower_change();
