ALTER TABLE videos ADD COLUMN has_preview boolean NOT NULL DEFAULT false;
