"""What can be wrong with a publisher's bytes, and why one may be turned away."""

from __future__ import annotations


class RtmpMalformed(ValueError):
    """The bytes break the protocol or one of its limits; the connection ends."""


class PublishRefused(Exception):
    """The publisher may not publish; `code` is its NetStream status, `reason` is for people."""

    def __init__(self, reason: str, code: str = "NetStream.Publish.BadName") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
