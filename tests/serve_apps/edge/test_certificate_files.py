"""What a listener shows while the files of its certificate are renewed, whole, half or broken."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from serve_apps.edge.certificate_files import CertificateFiles, follow_certificate
from tests.serve_apps.edge.tls import issue_pair

pytestmark = pytest.mark.unit


@pytest.fixture
def pairs(tmp_path: Path) -> list[bytes]:
    """Lend three certificates with their keys."""
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    return [issue_pair(folder).read_bytes() for folder in folders]


@pytest.fixture
def files(tmp_path: Path, pairs: list[bytes]) -> CertificateFiles:
    """Lend files with the first pair."""
    found = CertificateFiles(str(tmp_path / "chain.pem"), str(tmp_path / "key.pem"))
    for path in (found.chain, found.key):
        replace(path, pairs[0])
    return found


def replace(path: str, content: bytes) -> None:
    """Put another file there, as tools that renew certificates do."""
    fresh = Path(path + ".new")
    fresh.write_bytes(content)
    fresh.replace(path)


def show(listening: ssl.SSLContext, name: str | None = None) -> bytes:
    """Return the certificate that a client sees, as PEM."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(down, up, server_hostname=name)
    server = listening.wrap_bio(up, down, server_side=True)
    for _ in range(3):
        for end in (client, server):
            attempt(end.do_handshake)
    der = client.getpeercert(binary_form=True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der).encode()


def attempt(shake: Callable[[], None]) -> None:
    """Take a handshake as far as it goes."""
    try:
        shake()
    except ssl.SSLWantReadError:
        return


@pytest.mark.parametrize("name", [None, "localhost"])
def test_a_renewed_certificate_is_shown_to_whoever_connects_next(
    files: CertificateFiles, pairs: list[bytes], name: str | None
) -> None:
    listening = follow_certificate(files)
    assert show(listening, name) in pairs[0]
    for pair in (pairs[1], pairs[2]):
        for path in (files.chain, files.key):
            replace(path, pair)
        assert show(listening, name) in pair
        assert show(listening, name) in pair


def test_files_that_do_not_fit_or_are_gone_leave_the_former_certificate(
    files: CertificateFiles, pairs: list[bytes]
) -> None:
    listening = follow_certificate(files)
    replace(files.chain, pairs[1])
    assert show(listening) in pairs[0], "its key is not there yet"
    replace(files.key, pairs[1])
    assert show(listening) in pairs[1]
    Path(files.key).unlink()
    assert show(listening) in pairs[1]
    replace(files.chain, b"no certificate")
    replace(files.key, pairs[2])
    assert show(listening) in pairs[1]
    replace(files.chain, pairs[2])
    assert show(listening) in pairs[2]


def test_a_listener_does_not_begin_without_a_certificate(files: CertificateFiles) -> None:
    replace(files.key, b"no key")
    with pytest.raises(ssl.SSLError):
        follow_certificate(files)
