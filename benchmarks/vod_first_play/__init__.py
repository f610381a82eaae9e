"""How long after its last byte a video plays."""
