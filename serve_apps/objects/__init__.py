"""The object store's own upkeep."""
