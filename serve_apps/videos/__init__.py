"""Videos: uploading, processing, looking at and deleting them."""
