"""Administration: people, hosts and rooms as operators see them, and the record of their acts."""
