"""What a live keeps: memory and descriptors while viewers come and go for an hour."""
