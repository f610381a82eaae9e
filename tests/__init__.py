"""Tests mirror the packages; each file has one category."""
