"""What uploads that are being encoded do to a live on the same machine."""
