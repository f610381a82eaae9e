"""A WebRTC publisher of its own: sends a ready-encoded film to a WHIP endpoint, again and again."""
