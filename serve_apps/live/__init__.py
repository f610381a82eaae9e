"""Lives: announced over the API; run by rooms and edges."""
