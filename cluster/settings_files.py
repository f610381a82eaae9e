"""The two settings files of an installation and the secrets made at its first start.

`settings.toml` is the person's: secrets are added to it once, nothing in it is ever changed.
`run/settings.toml` is the whole tree as the running processes read it. Both are 0600.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cluster.home import Home
from cluster.records import write_private
from kit.setting_sections import SettingsInvalid
from kit.settings import SETTINGS_VARIABLE, Settings, load_settings

HEADER = """\
# Settings of this Social Flow installation. `socialflow settings` lists all there are.
# The secrets below were made at the first start: keep them, and keep this file 0600.
"""
SECRET_BYTES = 32


def load_installation(home: Home, environ: Mapping[str, str]) -> Settings:
    """Read the settings, making the file and its secrets where they are missing.

    A file named by SOCIALFLOW_SETTINGS is used as it is; it must hold the secrets itself. So must
    that of a machine that joined: secrets of its own would not be the installation's.
    """
    given = environ.get(SETTINGS_VARIABLE)
    if given is None and not _has_joined(home.settings_file):
        _ensure_secrets(home.settings_file)
    settings = read_installation(home, environ)
    for section, names in make_secrets().items():
        missing = [name for name in names if not getattr(getattr(settings, section), name)]
        if missing and given is None:
            raise SettingsInvalid(
                f"{home.settings_file} lacks {section}.{missing[0]}, which the head has by now. "
                "Join again by a fresh invitation, or copy the line from its settings.toml."
            )
        if missing:
            raise SettingsInvalid(
                f"{given} lacks {section}.{missing[0]}. Start once without SOCIALFLOW_SETTINGS "
                "and copy the section from .socialflow/settings.toml."
            )
    return settings


def read_installation(home: Home, environ: Mapping[str, str]) -> Settings:
    """Read the settings as they are; the home folder is the decided one."""
    env = dict(environ)
    if SETTINGS_VARIABLE not in env and home.settings_file.exists():
        env[SETTINGS_VARIABLE] = str(home.settings_file)
    return dataclasses.replace(load_settings(env), home=home.root)


def make_secrets() -> dict[str, dict[str, str]]:
    """Make the secrets of an installation, by section."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    return {
        "auth": {
            "token_key": secrets.token_hex(SECRET_BYTES),
            "grant_private_key": key.private_bytes_raw().hex(),
            "grant_public_key": public.hex(),
            "content_key": secrets.token_hex(SECRET_BYTES),
        },
        "cluster": {"key": secrets.token_hex(SECRET_BYTES)},
    }


def write_running_settings(home: Home, settings: Settings) -> None:
    """Write the whole tree for the processes to read."""
    write_private(home.running_settings_file, render_toml(settings))


def render_toml(settings: Settings) -> str:
    """Write a settings tree as TOML."""
    top: list[str] = []
    sections: list[str] = []
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            sections.append(f"\n[{item.name}]")
            sections += [
                f"{name} = {_render(entry)}" for name, entry in dataclasses.asdict(value).items()
            ]
        else:
            top.append(f"{item.name} = {_render(value)}")
    return "\n".join([*top, *sections]) + "\n"


def _render(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_render(item) for item in value) + "]"
    # TOML's basic strings are JSON's, except for DEL, which JSON leaves as it is.
    return json.dumps(str(value)).replace("\x7f", "\\u007f")


def _ensure_secrets(path: Path) -> None:
    text = path.read_text() if path.exists() else HEADER
    present = tomllib.loads(text)
    added = text
    fresh = make_secrets()
    if _has_half_a_pair(present):
        raise SettingsInvalid(f"{path} has only one half of auth.grant_private_key/_public_key.")
    for section, values in fresh.items():
        missing = {
            name: value for name, value in values.items() if not _is_set(present, section, name)
        }
        if missing:
            added = _insert(added, section, missing)
    if added != text:
        write_private(path, added)


def _has_joined(path: Path) -> bool:
    present = tomllib.loads(path.read_text()) if path.exists() else {}
    return _is_set(present, "cluster", "head")


def _is_set(values: Mapping[str, Any], section: str, name: str) -> bool:
    return bool(values.get(section, {}).get(name))


def _has_half_a_pair(values: Mapping[str, Any]) -> bool:
    private = _is_set(values, "auth", "grant_private_key")
    return private != _is_set(values, "auth", "grant_public_key")


def _insert(text: str, section: str, values: Mapping[str, str]) -> str:
    """Add lines to a section of TOML text, leaving everything else as the person wrote it.

    A line that sets one of the names to "" gives way: TOML allows a name once.
    """
    lines = [f'{name} = "{value}"' for name, value in values.items()]
    kept: list[str] = []
    here, is_placed = "", False
    for line in text.splitlines():
        bare = line.split("#")[0].strip()
        if here == section and bare.partition("=")[0].strip() in values:
            continue
        kept.append(line)
        if bare.startswith("["):
            here = bare.strip("[] ")
            if here == section:
                kept += lines
                is_placed = True
    if not is_placed:
        kept += ["", f"[{section}]", *lines]
    return "\n".join(kept) + "\n"
