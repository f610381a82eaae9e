-- Every act of placing an object has a number of its own. Whoever gives an object up names it: a
-- statement that comes late finds another number, and takes nothing from whoever owns it by then.
CREATE SEQUENCE placement_numbers;
ALTER TABLE placements
    ADD COLUMN number bigint NOT NULL DEFAULT nextval('placement_numbers');
