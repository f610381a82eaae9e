"""How late and how steady a live by WebRTC is in a real browser, with and without a bad network."""
