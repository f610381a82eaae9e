"""What starting costs: seconds by step, and the memory of the idle product by part."""
