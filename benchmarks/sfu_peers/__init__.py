"""What forwarding costs beside Janus, in the same run and with the same load."""
