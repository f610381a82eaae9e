DROP TABLE audit_entries;
ALTER TABLE users DROP COLUMN banned_at, DROP COLUMN ban_reason;
