"""What relaying a live from edge to edge costs: processor time per packet at both ends."""
