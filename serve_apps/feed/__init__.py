"""Feeds: the home timeline of those one follows, and everything public."""
