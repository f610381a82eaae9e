"""Bytes of sound and picture: video on demand, live forwarding, containers and playlists.

The job runner, the edge and the media pool call it. It knows no HTTP and no SQL, and no Ray
outside `media/pool.py`.
"""
