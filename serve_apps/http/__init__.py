"""What every HTTP feature shares: guarded routes, ports, errors and the frame of a request."""
