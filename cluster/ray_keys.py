"""Ray's token and certificates: made once per installation, 0600, named to Ray by path.

Whoever may talk to Ray may run code. The token guards Ray's own calls; mutual TLS guards every port
as well, among them the one each Serve replica opens on all addresses and reads pickles from.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cluster.records import write_private

LIFE_DAYS = 3650
BACKDATE = datetime.timedelta(days=1)  # a clock set back a little must not end the product


@dataclass(frozen=True)
class RayKeys:
    """Paths of the files Ray reads."""

    token: Path
    authority: Path
    certificate: Path
    private_key: Path


def ensure_ray_keys(folder: Path) -> RayKeys:
    """Return the installation's keys, making those that are missing."""
    keys = RayKeys(
        folder / "ray.token", folder / "ca.pem", folder / "node.pem", folder / "node.key"
    )
    if not keys.token.exists():
        write_private(keys.token, secrets.token_hex(32))
    if not all(path.exists() for path in (keys.authority, keys.certificate, keys.private_key)):
        _write_certificates(keys)
    return keys


def _write_certificates(keys: RayKeys) -> None:
    """Make an authority, forget its key, and keep one certificate of it for this machine."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    node_key = ec.generate_private_key(ec.SECP256R1())
    issuer = _name("Social Flow installation")
    authority = (
        _start(issuer, issuer, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    node = (
        _start(_name(f"node-{os.urandom(4).hex()}"), issuer, node_key.public_key())
        .add_extension(names, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    private = node_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(keys.private_key, private.decode())
    write_private(keys.certificate, node.public_bytes(serialization.Encoding.PEM).decode())
    write_private(keys.authority, authority.public_bytes(serialization.Encoding.PEM).decode())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _start(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + datetime.timedelta(days=LIFE_DAYS))
    )
