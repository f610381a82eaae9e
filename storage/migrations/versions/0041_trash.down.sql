DROP INDEX videos_trash_idx;
ALTER TABLE videos
    DROP COLUMN deleted_by,
    DROP COLUMN purge_at,
    DROP COLUMN is_final;
