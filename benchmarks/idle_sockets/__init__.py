"""What a socket costs that is open and silent: memory of the edge per socket."""
