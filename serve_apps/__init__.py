"""What answers clients: the HTTP API by feature, the edge process, and the wiring of handlers."""
