"""Words everyone shares: errors, ids, clock, cursors, settings, events, metrics, logs. No I/O."""
