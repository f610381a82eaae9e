"""How long a live's picture stands still in Chromium when an edge dies."""
