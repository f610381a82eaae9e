-- By what it is ("download", "dash", "storyboard", "thumbnail"): the reason's code. Written by the
-- processing job; most videos have all.
ALTER TABLE videos ADD COLUMN left_out jsonb NOT NULL DEFAULT '{}';
