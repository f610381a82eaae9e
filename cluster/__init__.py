"""Running the product: the command line, the supervisor, the Ray head and the crew of actors."""
