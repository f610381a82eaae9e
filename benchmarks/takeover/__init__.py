"""How long nobody answers after a kill: of a host with its rooms, of an edge with its sockets."""
