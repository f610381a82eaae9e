"""What forwarding costs: processor time per packet and viewer, and per handshake."""
