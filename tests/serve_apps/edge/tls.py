"""TLS of an edge on this machine, for tests: its side, and that of somebody who trusts it."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

from cluster.keys import ensure_authority, issue_certificate


def make_tls(home: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the server's and the client's context."""
    authority = ensure_authority(home)
    issued = issue_certificate(authority, "edge", ("127.0.0.1",), life=datetime.timedelta(days=1))
    pair = home / "pair.pem"
    pair.write_text(issued.certificate + issued.private_key)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pair)
    return server, ssl.create_default_context(cadata=authority.certificate)
