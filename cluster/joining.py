"""How a further machine comes into the cluster: the head's invitation, and accepting it.

An invitation is one file (0600): the settings of the new machine, with the secrets of the
installation and a certificate for its address. A person carries it over; nothing of it ever
travels as an argument or through Ray.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import socket
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cluster.home import Home
from cluster.keys import (
    LOCAL_NAMES,
    ClusterKeys,
    Issued,
    ensure_authority,
    ensure_keys,
    issue_certificate,
    write_certificate,
)
from cluster.records import write_private
from cluster.settings_files import render_toml
from cluster.topology import count_connections
from kit.errors import AppError
from kit.settings import SETTINGS_VARIABLE, Settings, load_settings

KEYS = "keys"
"""The table of an invitation that becomes files."""
MARKER = ".socialflow-objects"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
REACH_TIMEOUT_S = 3.0
HEADER = """\
# Invitation of a machine into a Social Flow cluster. It holds the secrets of the installation:
# keep it 0600, carry it over a safe way, and remove it after `socialflow join`.
# The counts below say what the machine carries: [hosts], [edge], [http] replicas, [cluster]
# media_workers and runners. Change them before joining, or later in settings.toml.
"""


class InvitationRefused(AppError):
    """A machine cannot be invited or cannot accept as things are; the text says why."""

    code, status, message = "invitation_refused", 409, "This machine cannot join."


def invite(home: Home, name: str, host: str) -> str:
    """Return the invitation of machine `name`, which others reach at `host`.

    The product must run: its addresses are part of it. Raises InvitationRefused.
    """
    if not NAME.fullmatch(name):
        raise InvitationRefused("A name has up to 31 small letters, digits and hyphens.")
    if not home.running_settings_file.exists():
        raise InvitationRefused("Start the product first: socialflow up")
    settings = load_settings({SETTINGS_VARIABLE: str(home.running_settings_file)})
    if settings.cluster.head:
        raise InvitationRefused("Only the head invites; this machine joined another one.")
    _check_reachable_from_elsewhere(settings, host)
    objects = settings.objects.url or f"file://{(home.root / 'objects').resolve()}"
    _mark_objects(objects, settings.cluster.key)
    keys = ensure_keys(home.keys, settings.cluster)
    authority = ensure_authority(home.keys)
    issued = issue_certificate(authority, name, tuple(dict.fromkeys((*LOCAL_NAMES, host))))
    invited = dataclasses.replace(
        settings,
        http=dataclasses.replace(settings.http, hosts=(host,)),
        edge=dataclasses.replace(settings.edge, host=host, public_host=host),
        objects=dataclasses.replace(settings.objects, url=objects),
        cluster=dataclasses.replace(
            settings.cluster,
            node=name,
            host=host,
            head=settings.cluster.ray_address,
            ray_address="",
            runners=0,
            connections_elsewhere=count_connections(settings) + count_promised(home, besides=name),
        ),
    )
    home.invitations.mkdir(mode=0o700, exist_ok=True)
    note = {"name": name, "host": host, "connections": count_connections(invited)}
    write_private(home.invitations / f"{name}.json", json.dumps(note))
    texts = {
        "token": keys.token.read_text(),
        "authority": authority.certificate,
        "certificate": issued.certificate,
        "private_key": issued.private_key,
    }
    lines = [f"{key} = {json.dumps(text)}" for key, text in texts.items()]
    body = "\n".join(
        line for line in render_toml(invited).splitlines() if not line.startswith("home = ")
    )
    return HEADER + body + f"\n\n[{KEYS}]\n" + "\n".join(lines) + "\n"


def count_promised(home: Home, besides: str = "") -> int:
    """Return how many PostgreSQL connections the machines invited so far may open together."""
    notes = [json.loads(file.read_text()) for file in home.invitations.glob("*.json")]
    return sum(int(note["connections"]) for note in notes if note["name"] != besides)


def list_invited(home: Home) -> list[str]:
    """Return the names of the machines invited so far."""
    return sorted(file.stem for file in home.invitations.glob("*.json"))


def withdraw_invitation(home: Home, name: str) -> bool:
    """Count a machine no more; False: it was not invited."""
    if name not in list_invited(home):
        return False
    (home.invitations / f"{name}.json").unlink()
    return True


def accept(home: Home, file: Path) -> None:
    """Install an invitation in a home that has no settings of another installation.

    Raises InvitationRefused; the home must have been prepared.
    """
    values = _read_invitation(file)
    keys = values.pop(KEYS, None)
    if not isinstance(keys, dict) or not values.get("cluster", {}).get("head"):
        raise InvitationRefused(f"{file} is no invitation; the head writes one: socialflow invite")
    if home.settings_file.exists():
        present = tomllib.loads(home.settings_file.read_text())
        if present.get("cluster", {}).get("key") != values["cluster"]["key"]:
            raise InvitationRefused(
                f"{home.root} already belongs to another installation. Choose another folder: "
                "socialflow join --home"
            )
    paths = ClusterKeys.within(home.keys)
    write_private(paths.token, keys["token"])
    write_private(paths.authority, keys["authority"])
    write_certificate(paths, Issued(keys["certificate"], keys["private_key"]))
    text = file.read_text()
    write_private(home.settings_file, text[: text.index(f"\n[{KEYS}]\n")] + "\n")


def check_surroundings(settings: Settings) -> None:
    """Refuse to join when this machine sees not what the head sees; raises InvitationRefused."""
    _check_objects(settings.objects.url, settings.cluster.key)
    for what, url in (
        ("PostgreSQL", settings.database.url),
        ("Valkey", settings.cache.url),
        ("The head", f"//{settings.cluster.head}"),
    ):
        parts = urlsplit(url)
        place = (parts.hostname or "", parts.port or 0)
        try:
            socket.create_connection(place, timeout=REACH_TIMEOUT_S).close()
        except OSError as error:
            raise InvitationRefused(
                f"{what} at {place[0]}:{place[1]} cannot be reached from here: {error}."
            ) from error


def _read_invitation(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_mode & 0o077:
            raise InvitationRefused(f"{file} is readable by others: chmod 600 {file}")
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise InvitationRefused(f"{file} cannot be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise InvitationRefused(f"{file} is damaged: {error}.") from error


def _check_reachable_from_elsewhere(settings: Settings, host: str) -> None:
    """Refuse when the servers listen on this machine alone and the other one is elsewhere."""
    if _is_loopback(host):
        return
    local = [
        what
        for what, place in (
            ("PostgreSQL (database.url)", urlsplit(settings.database.url).hostname),
            ("Valkey (cache.url)", urlsplit(settings.cache.url).hostname),
            ("Ray (cluster.host)", settings.cluster.host),
        )
        if _is_loopback(place or "")
    ]
    if local:
        raise InvitationRefused(
            f"{', '.join(local)} can be reached on this machine only. Several machines need "
            "servers that all of them reach; docs/operations.md, More than one machine."
        )


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def _find_folder(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _make_marker(key: str) -> str:
    return hashlib.sha256(f"objects of {key}".encode()).hexdigest() + "\n"


def _mark_objects(url: str, key: str) -> None:
    folder = _find_folder(url)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).write_text(_make_marker(key))


def _check_objects(url: str, key: str) -> None:
    """A folder that is not the head's would split the videos between the machines."""
    folder = _find_folder(url)
    if folder is None:
        return
    try:
        is_same = (folder / MARKER).read_text() == _make_marker(key)
    except OSError:
        is_same = False
    if not is_same:
        raise InvitationRefused(
            f"The head keeps its objects in the folder {folder}, and that folder is not shared "
            "with this machine. Share it (NFS, for instance), or set objects.url on every machine "
            "to a bucket that all of them reach."
        )
