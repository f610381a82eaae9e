"""One copy of a live from the edge where it comes in to each edge that shows it."""
