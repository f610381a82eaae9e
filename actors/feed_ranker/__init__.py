"""Feed rankers: one per reader, who knows what its reader was shown and orders what they read."""
