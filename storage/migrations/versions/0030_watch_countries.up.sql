-- ISO 3166-1 alpha-2, from the address, which is not kept; NULL: not known.
ALTER TABLE watch_sessions ADD COLUMN country text CHECK (country ~ '^[A-Z]{2}$');
-- Sessions by country; those of unknown countries are not in it.
ALTER TABLE video_days ADD COLUMN countries jsonb NOT NULL DEFAULT '{}';
