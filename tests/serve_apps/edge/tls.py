"""TLS of an edge on this machine, for tests: its side, and that of somebody who trusts it."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

from cluster.keys import ensure_authority, issue_certificate


def issue_pair(home: Path) -> Path:
    """Write an edge's certificate and its key into one file; return that.

    Beside it, as `authority.pem`, is what somebody who trusts it needs.
    """
    authority = ensure_authority(home)
    hosts, life = ("127.0.0.1", "localhost"), datetime.timedelta(days=1)
    issued = issue_certificate(authority, "edge", hosts, life=life)
    pair = home / "pair.pem"
    pair.write_text(issued.certificate + issued.private_key)
    pair.with_name("authority.pem").write_text(authority.certificate)
    return pair


def make_tls(home: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the server's and the client's context."""
    pair, authority = issue_pair(home), ensure_authority(home)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pair)
    return server, ssl.create_default_context(cadata=authority.certificate)
