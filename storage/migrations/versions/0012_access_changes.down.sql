DROP TRIGGER posts_access ON posts;
DROP TRIGGER lives_access ON lives;
DROP FUNCTION note_access_change();
CREATE FUNCTION note_live_access() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.visibility IS DISTINCT FROM OLD.visibility OR NEW.deleted_at IS DISTINCT FROM OLD.deleted_at THEN
        NEW.access_version := OLD.access_version + 1;
        NEW.access_changed_at := clock_timestamp();
        PERFORM pg_notify('live_access', NEW.id || ' ' || NEW.access_version);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER lives_access BEFORE UPDATE OF visibility, deleted_at ON lives
    FOR EACH ROW EXECUTE FUNCTION note_live_access();
CREATE OR REPLACE FUNCTION note_follow_end() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE changed record;
BEGIN
    FOR changed IN
        UPDATE lives SET access_version = access_version + 1, access_changed_at = clock_timestamp()
        WHERE owner_id = OLD.followee_id AND visibility = 'followers' AND status <> 'ended'
          AND deleted_at IS NULL
        RETURNING id, access_version
    LOOP
        PERFORM pg_notify('live_access', changed.id || ' ' || changed.access_version);
    END LOOP;
    RETURN NULL;
END $$;
ALTER TABLE posts DROP COLUMN access_version, DROP COLUMN access_changed_at;
