-- Whoever changes who may see a live raises its version, and every process hears of it at commit.
ALTER TABLE lives ADD COLUMN access_changed_at timestamptz;
CREATE INDEX lives_access_changed_idx ON lives (access_changed_at) WHERE access_changed_at IS NOT NULL;

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
