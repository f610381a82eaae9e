"""Rooms: the running side of lives. A plain core, its host, and clients for edge and API."""
