DROP TRIGGER videos_access ON videos;
DROP INDEX videos_access_changed_idx;
ALTER TABLE videos DROP COLUMN access_changed_at;
DROP TABLE comment_likes;
DELETE FROM comments WHERE post_id IS NULL;
DROP INDEX comments_pinned_key, comments_parent_idx, comments_video_idx;
ALTER TABLE comments
    DROP CONSTRAINT comments_place_check,
    DROP COLUMN replies,
    DROP COLUMN likes,
    DROP COLUMN pinned_at,
    DROP COLUMN edited_at,
    DROP COLUMN parent_id,
    DROP COLUMN video_id,
    ALTER COLUMN post_id SET NOT NULL;
