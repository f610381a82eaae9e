-- What plays of a ready video, and for whom, is told at commit, as who may see it is: edges keep what they
-- know of it until then. It has a version of its own, as a new picture or subtitle ends nobody's grant.
ALTER TABLE videos
    ADD COLUMN playback_version integer NOT NULL DEFAULT 1,
    ADD COLUMN playback_changed_at timestamptz;
CREATE INDEX videos_playback_changed_idx ON videos (playback_changed_at)
    WHERE playback_changed_at IS NOT NULL;

CREATE FUNCTION note_playback_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.playback_version := OLD.playback_version + 1;
    NEW.playback_changed_at := clock_timestamp();
    PERFORM pg_notify('access_changes', 'playback:' || NEW.id || ' ' || NEW.playback_version);
    RETURN NEW;
END $$;
CREATE TRIGGER videos_playback
    BEFORE UPDATE OF status, visibility, deleted_at, thumbnail_key, has_preview, playable_at, version ON videos
    FOR EACH ROW
    WHEN (OLD.status = 'ready'
          AND (NEW.status, NEW.visibility, NEW.deleted_at, NEW.thumbnail_key, NEW.has_preview,
               NEW.playable_at, NEW.version)
              IS DISTINCT FROM
              (OLD.status, OLD.visibility, OLD.deleted_at, OLD.thumbnail_key, OLD.has_preview,
               OLD.playable_at, OLD.version))
    EXECUTE FUNCTION note_playback_change();

-- Of a video that is not ready, too: it may become so at the same time, in another transaction.
CREATE FUNCTION note_playback_part() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed_id uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.video_id ELSE NEW.video_id END;
    version integer;
BEGIN
    UPDATE videos SET playback_version = playback_version + 1, playback_changed_at = clock_timestamp()
    WHERE id = changed_id AND deleted_at IS NULL RETURNING playback_version INTO version;
    IF version IS NOT NULL THEN
        PERFORM pg_notify('access_changes', 'playback:' || changed_id || ' ' || version);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER subtitles_playback AFTER INSERT OR UPDATE OR DELETE ON subtitles
    FOR EACH ROW EXECUTE FUNCTION note_playback_part();
CREATE TRIGGER video_versions_kept AFTER INSERT ON video_versions
    FOR EACH ROW WHEN (NEW.state = 'replaced') EXECUTE FUNCTION note_playback_part();
CREATE TRIGGER video_versions_turned AFTER UPDATE OF state ON video_versions
    FOR EACH ROW WHEN ((NEW.state = 'replaced') <> (OLD.state = 'replaced'))
    EXECUTE FUNCTION note_playback_part();
CREATE TRIGGER video_versions_removed AFTER DELETE ON video_versions
    FOR EACH ROW WHEN (OLD.state = 'replaced') EXECUTE FUNCTION note_playback_part();
CREATE TRIGGER recordings_aac AFTER UPDATE OF aac ON recordings
    FOR EACH ROW WHEN (NEW.aac IS DISTINCT FROM OLD.aac AND 'made' IN (NEW.aac, OLD.aac))
    EXECUTE FUNCTION note_playback_part();
