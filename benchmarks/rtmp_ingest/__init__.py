"""What taking in RTMP costs, packaging included: ours beside nginx-rtmp with HLS."""
