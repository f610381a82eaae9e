"""TLS of links between machines: version 1.3 only, both ends show a certificate of our authority.

The certificate proves the machine, the hello after it the cluster key, the role and the
incarnation. There is no way back to plain text. The files are read anew for every opening, so a
renewed certificate needs no restart of the openers.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

UNIX = "unix:"
TLS = "tls:"


@dataclass(frozen=True)
class LinkKeys:
    """Paths of the authority's certificate, this machine's one, and its private key."""

    authority: Path
    certificate: Path
    private_key: Path

    @classmethod
    def within(cls, folder: Path) -> Self:
        """Return the keys as an installation keeps them."""
        return cls(folder / "ca.pem", folder / "node.pem", folder / "node.key")

    def make_context(self, *, is_server: bool) -> ssl.SSLContext:
        """Read the files; raises OSError (ssl.SSLError among them) when they cannot be used."""
        kind = ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT
        context = ssl.SSLContext(kind)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.authority)
        context.load_cert_chain(self.certificate, self.private_key)
        if is_server:
            context.num_tickets = 0  # every opening proves itself in full
        return context


def join_addresses(*addresses: str) -> str:
    """Write several addresses of one listener as the one text that is announced."""
    return " ".join(addresses)


def choose_address(announced: str, folder: Path) -> str:
    """Return the nearest of the announced addresses that leads anywhere from here, or "".

    A socket in our own folder is this machine's: its name holds the incarnation, which is given
    once, so that another machine's file can never be taken for it.
    """
    ways = announced.split()
    for way in ways:
        path = Path(way.removeprefix(UNIX))
        if way.startswith(UNIX) and path.parent == folder and path.exists():
            return way
    return next((way for way in ways if way.startswith(TLS)), "")


def make_tls_address(host: str, port: int) -> str:
    """Return `tls://host:port`."""
    return f"{TLS}//[{host}]:{port}" if ":" in host else f"{TLS}//{host}:{port}"


def read_tls_address(address: str) -> tuple[str, int]:
    """Return host and port of `tls://host:port`; raises ValueError."""
    parts = urlsplit(address)
    if not parts.hostname or parts.port is None:
        raise ValueError("not tls://host:port")
    return parts.hostname, parts.port
