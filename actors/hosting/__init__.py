"""Hosted actors: many objects of several kinds in one process, one owner each."""
