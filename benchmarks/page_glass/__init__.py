"""How late a live by low-latency HLS is on a viewer's screen."""
