-- Since when the host has renewed without a gap; a silence of the database is a gap for all of them.
ALTER TABLE hosts ADD COLUMN steady_since timestamptz NOT NULL DEFAULT clock_timestamp();
