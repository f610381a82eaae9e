"""Tests of the forwarding plane, with offers as real clients write them."""
