"""Reaching addresses that people gave us, and nothing inside our own network."""
