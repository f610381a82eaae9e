"""Who may do what, how often: the one sibling that every feature and the edge may import."""
