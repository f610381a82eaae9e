"""How long after its last byte all of a video is there."""
