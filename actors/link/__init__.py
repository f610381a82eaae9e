"""Persistent, framed, mutually authenticated links between processes of one cluster."""
