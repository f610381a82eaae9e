"""Rankers: their rules, their rows, and the feed that asks them."""
