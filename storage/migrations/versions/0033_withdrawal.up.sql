-- When a video becomes private again; a publication that waits comes before it.
ALTER TABLE videos
    ADD COLUMN withdraw_at timestamptz,
    ADD CONSTRAINT videos_withdrawal_check CHECK (publish_at < withdraw_at);
