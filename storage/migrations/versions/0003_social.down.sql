DROP INDEX sessions_revoked_idx;
