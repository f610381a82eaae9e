"""Comments below posts and videos, and what follows them."""
