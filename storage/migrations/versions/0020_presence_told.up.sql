-- Whoever is shown to others than before, or to nobody any more, is told of as whoever stops following.
CREATE FUNCTION note_presence_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.access_version := OLD.access_version + 1;
    NEW.access_changed_at := clock_timestamp();
    PERFORM pg_notify('access_changes', 'user:' || NEW.id || ' ' || NEW.access_version);
    RETURN NEW;
END $$;
CREATE TRIGGER users_presence_told BEFORE UPDATE OF presence_audience, deleted_at ON users
    FOR EACH ROW
    WHEN (NEW.presence_audience IS DISTINCT FROM OLD.presence_audience
          OR NEW.deleted_at IS DISTINCT FROM OLD.deleted_at)
    EXECUTE FUNCTION note_presence_change();
