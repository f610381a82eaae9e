"""How much sooner a video is ready that was begun while its file arrived."""
