"""Live state with one owner each: rooms and the job runner. Neither media bytes nor SQL text."""
