"""The authority of an installation, its machines' certificates, and Ray's token: files, 0600.

Whoever may talk to Ray may run code. The token guards Ray's own calls; mutual TLS guards every port
as well, among them the one each Serve replica opens on all addresses and reads pickles from. Links
between machines use the same certificates. The authority's key never leaves the head.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cluster.records import write_private
from kit.errors import AppError
from kit.setting_sections import ClusterSettings

LIFE = datetime.timedelta(days=3650)
BACKDATE = datetime.timedelta(days=1)  # a clock set back a little must not end the product
RENEW_BEFORE = datetime.timedelta(days=90)
LOCAL_NAMES = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class ClusterKeys:
    """Paths of the files that Ray and the links read."""

    token: Path
    authority: Path
    certificate: Path
    private_key: Path

    @classmethod
    def within(cls, folder: Path) -> ClusterKeys:
        """Return the paths below a folder; `actors.link.secure.LinkKeys` knows the same names."""
        return cls(
            folder / "ray.token", folder / "ca.pem", folder / "node.pem", folder / "node.key"
        )

    def list_paths(self) -> list[Path]:
        """List the files."""
        return [self.token, self.authority, self.certificate, self.private_key]


class KeysMissing(AppError):
    """This machine joined a cluster and has lost what the head gave it."""

    code, status, message = "keys_missing", 500, "The keys of this machine are missing."


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key, as PEM text."""

    certificate: str
    private_key: str = field(repr=False)


class Authority(Issued):
    """The one that signs the certificates of an installation."""


def ensure_keys(folder: Path, cluster: ClusterSettings) -> ClusterKeys:
    """Return this machine's keys, making what is missing, nearly over, or for another address.

    A machine that joined a head has its keys from there; raises KeysMissing when they are gone.
    """
    keys = ClusterKeys.within(folder)
    if cluster.head:
        missing = [path.name for path in keys.list_paths() if not path.exists()]
        if missing:
            raise KeysMissing(
                f"{', '.join(missing)} in {folder} is missing. Ask the head for a new invitation: "
                "socialflow invite"
            )
        return keys
    if not keys.token.exists():
        write_private(keys.token, secrets.token_hex(32))
    authority = ensure_authority(folder)
    names = tuple(dict.fromkeys((*LOCAL_NAMES, cluster.host)))
    if not _is_usable(keys, authority, names):
        write_certificate(keys, issue_certificate(authority, make_common_name(), names))
    return keys


def write_certificate(keys: ClusterKeys, issued: Issued) -> None:
    """Keep a certificate and its key where they are looked for."""
    write_private(keys.private_key, issued.private_key)
    write_private(keys.certificate, issued.certificate)


def make_common_name() -> str:
    """Return a name for a certificate; nothing depends on it."""
    return f"node-{os.urandom(4).hex()}"


def ensure_authority(folder: Path) -> Authority:
    """Return the installation's authority, made anew when a half of it is missing."""
    certificate, private_key = folder / "ca.pem", folder / "ca.key"
    if certificate.exists() and private_key.exists():
        return Authority(certificate.read_text(), private_key.read_text())
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Social Flow installation {os.urandom(4).hex()}")
    signed = (
        _start(name, name, key.public_key(), LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority = Authority(_to_pem(signed), _key_to_pem(key))
    write_private(private_key, authority.private_key)
    write_private(certificate, authority.certificate)
    return authority


def issue_certificate(
    authority: Authority, name: str, hosts: tuple[str, ...], *, life: datetime.timedelta = LIFE
) -> Issued:
    """Return a certificate for a machine that is called at `hosts` (addresses or names)."""
    signer = x509.load_pem_x509_certificate(authority.certificate.encode())
    signing_key = serialization.load_pem_private_key(authority.private_key.encode(), None)
    assert isinstance(signing_key, ec.EllipticCurvePrivateKey), "ensure_authority makes this kind"
    key = ec.generate_private_key(ec.SECP256R1())
    signed = (
        _start(_name(name), signer.subject, key.public_key(), life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
        )
        .sign(signing_key, hashes.SHA256())
    )
    return Issued(_to_pem(signed), _key_to_pem(key))


def _is_usable(keys: ClusterKeys, authority: Authority, names: tuple[str, ...]) -> bool:
    if not (keys.certificate.exists() and keys.private_key.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(keys.certificate.read_bytes())
    try:
        certificate.verify_directly_issued_by(
            x509.load_pem_x509_certificate(authority.certificate.encode())
        )
    except Exception:  # noqa: BLE001 -- whatever is wrong with it, a fresh one is right
        return False
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    is_long = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > RENEW_BEFORE
    return is_long and all(_general_name(name) in found for name in names)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _start(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + life)
    )


def _to_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_to_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
