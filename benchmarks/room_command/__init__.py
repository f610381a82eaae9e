"""How long a command to a room takes: from the API to the room's owner and back."""
