"""What a chat line costs on its way to a thousand sockets, beside servers that only broadcast."""
