-- How far a recording's smaller pictures are; NULL: none are made, as the site wanted none or it is too small.
ALTER TABLE recordings
    ADD COLUMN rungs text CONSTRAINT recordings_rungs_check CHECK (rungs IN ('making', 'made', 'left_out'));
CREATE TRIGGER recordings_rungs AFTER UPDATE OF rungs ON recordings
    FOR EACH ROW WHEN (NEW.rungs IS DISTINCT FROM OLD.rungs AND 'made' IN (NEW.rungs, OLD.rungs))
    EXECUTE FUNCTION note_playback_part();
