-- A follow that ends is a change of who may see the followee's lives for followers: edges are told
-- as of any other such change, and ask again who may stay.
CREATE FUNCTION note_follow_end() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER follows_end AFTER DELETE ON follows
    FOR EACH ROW EXECUTE FUNCTION note_follow_end();
