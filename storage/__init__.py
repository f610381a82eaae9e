"""Rows, cache keys, objects, embedded servers: all SQL of the product, and none of its rules."""
