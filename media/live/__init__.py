"""A live as files: coded frames to low-latency HLS, and the recording out of the same segments."""
