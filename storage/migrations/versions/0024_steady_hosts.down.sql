ALTER TABLE hosts DROP COLUMN steady_since;
