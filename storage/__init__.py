"""Rows, cache keys, objects and the embedded servers: all SQL of the product is here, and none of its rules."""
