"""Accounts: registration, login, tokens, sessions, and one's own account."""
