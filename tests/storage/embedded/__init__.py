"""Tests of the embedded servers, with the real programs."""
