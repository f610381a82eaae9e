"""Where a client finds the socket when it is in no room."""
