"""What the pool of workers costs beside one command, and what a second worker brings."""
