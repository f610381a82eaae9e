"""What a simulated site of the hosting protocol costs, and whether any of very many breaks."""
