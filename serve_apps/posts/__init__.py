"""Posts, their likes and comments, and what spreads them."""
