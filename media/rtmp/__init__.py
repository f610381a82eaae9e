"""RTMP ingest: handshake, chunks and commands as pure state, and an asyncio server around them."""
