"""What it saves that a video is made as fine as its own pictures need."""
