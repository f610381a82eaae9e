"""Who subscribes to whose channel: given by its owner, ended by them or by its time."""
