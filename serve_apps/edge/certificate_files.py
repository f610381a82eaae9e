"""A listener's TLS whose certificate follows its files: what a renewal wrote is shown to whoever
connects next, without a restart.

Used by `rtmp`. Files that cannot be used, such as a new certificate whose key is not there yet, are
logged once and change nothing.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from kit.logs import get_log

log = get_log("edge.certificate")

Stamp = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class CertificateFiles:
    """PEM files of a certificate chain and of its key."""

    chain: str
    key: str

    def load(self) -> ssl.SSLContext:
        """Return what serves with them; raises OSError (ssl.SSLError among them)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context

    def read_stamp(self) -> Stamp:
        """Return what changes when either is replaced, written or taken away."""
        return _read_stamp(self.chain), _read_stamp(self.key)


def _read_stamp(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def follow_certificate(files: CertificateFiles) -> ssl.SSLContext:
    """Return a context to listen with, which reads the files anew when they changed.

    Looks when a client says hello, which is before a certificate is chosen. Raises OSError for
    files that cannot be used now.
    """
    stamp = files.read_stamp()
    listening = present = files.load()

    def refresh(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        nonlocal stamp, present
        found = files.read_stamp()
        if found != stamp:
            stamp = found
            try:
                present = files.load()
                log.info("edge.certificate_renewed", chain=files.chain)
            except OSError as error:
                log.warning("edge.certificate_unusable", chain=files.chain, why=str(error))
        if present is not listening:
            connection.context = present

    listening.sni_callback = refresh
    return listening
