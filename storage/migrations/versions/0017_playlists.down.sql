DROP TABLE playlist_videos, playlists;
