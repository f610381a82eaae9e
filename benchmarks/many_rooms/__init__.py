"""What many rooms cost: memory per room, and CPU that follows messages, not rooms or viewers."""
