-- Whoever changes who may see a post is heard at commit, as for lives. Changes are told under the
-- name of the channel they concern.
ALTER TABLE posts
    ADD COLUMN access_version integer NOT NULL DEFAULT 1,
    ADD COLUMN access_changed_at timestamptz;
CREATE INDEX posts_access_changed_idx ON posts (access_changed_at) WHERE access_changed_at IS NOT NULL;

DROP TRIGGER lives_access ON lives;
DROP FUNCTION note_live_access();
CREATE FUNCTION note_access_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.visibility IS DISTINCT FROM OLD.visibility OR NEW.deleted_at IS DISTINCT FROM OLD.deleted_at THEN
        NEW.access_version := OLD.access_version + 1;
        NEW.access_changed_at := clock_timestamp();
        PERFORM pg_notify('access_changes', TG_ARGV[0] || ':' || NEW.id || ' ' || NEW.access_version);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER lives_access BEFORE UPDATE OF visibility, deleted_at ON lives
    FOR EACH ROW EXECUTE FUNCTION note_access_change('room');
CREATE TRIGGER posts_access BEFORE UPDATE OF visibility, deleted_at ON posts
    FOR EACH ROW EXECUTE FUNCTION note_access_change('post');

CREATE OR REPLACE FUNCTION note_follow_end() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE changed record;
BEGIN
    FOR changed IN
        UPDATE lives SET access_version = access_version + 1, access_changed_at = clock_timestamp()
        WHERE owner_id = OLD.followee_id AND visibility = 'followers' AND status <> 'ended'
          AND deleted_at IS NULL
        RETURNING id, access_version
    LOOP
        PERFORM pg_notify('access_changes', 'room:' || changed.id || ' ' || changed.access_version);
    END LOOP;
    RETURN NULL;
END $$;
