"""The edge: every long-lived socket and every media byte; plain asyncio, one process per slot."""
