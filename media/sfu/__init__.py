"""The WebRTC forwarding plane: WHIP publishers in, WHEP viewers out, packets never decoded.

Plain asyncio on one UDP socket. The edge process calls `server.Sfu`; nothing here knows about
HTTP, accounts or rows.
"""
