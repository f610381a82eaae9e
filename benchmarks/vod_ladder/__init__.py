"""What a ladder costs: processor time of all rungs and the sound, and memory of a worker."""
