"""Video on demand: probe, plan, transcode in chunks, thumbnails, playlists."""
