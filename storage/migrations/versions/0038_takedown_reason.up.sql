-- Whoever still sends with the key of a live that a moderator took down is told why.
ALTER TABLE lives ADD COLUMN takedown_reason text;
