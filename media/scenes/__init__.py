"""Short films drawn by the project itself: what `socialflow seed` fills a fresh site with."""
