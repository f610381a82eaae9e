DROP TABLE user_entries;
ALTER TABLE users
    DROP COLUMN channel_epoch,
    DROP COLUMN presence_audience,
    DROP COLUMN seen_seq;
