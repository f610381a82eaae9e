ALTER TABLE placements DROP COLUMN number;
DROP SEQUENCE placement_numbers;
