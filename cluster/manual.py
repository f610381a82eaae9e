"""The settings as a page of documentation and as a table, made from `kit/settings.py`."""

from __future__ import annotations

import dataclasses
from typing import Any

from kit.settings import Settings, list_options

HEADER = """\
# Settings

Every setting, made from `kit/settings.py` by `make openapi`. A value comes from the environment,
else from the settings file, else it is the default. The environment name of `http.port` is
`SOCIALFLOW_HTTP_PORT`; `DATABASE_URL`, `REDIS_URL` and `PUBLIC_URL` are short forms of
`database.url`, `cache.url` and `http.public_url`. The file is `.socialflow/settings.toml`, or the
one named by `SOCIALFLOW_SETTINGS`; it must be readable by its owner alone (`chmod 600`). Secrets
are made at the first start and shown masked.

| setting | default | meaning |
|---|---|---|
"""


def render_manual() -> str:
    """Return the page of all settings."""
    rows = [
        f"| `{name}` | {_show(default, is_secret=is_secret)} | {sentence} |"
        for name, default, sentence, is_secret in list_options()
    ]
    return HEADER + "\n".join(rows) + "\n"


def list_values(settings: Settings) -> list[tuple[str, str, str]]:
    """List every setting as (name, present value with secrets masked, meaning)."""
    values = _mask(settings)
    rows = []
    for name, _default, sentence, _is_secret in list_options():
        section, _, key = name.rpartition(".")
        value: Any = values[section][key] if section else values[key]
        rows.append((name, _plain(value), sentence))
    return rows


def _mask(settings: Settings) -> dict[str, Any]:
    """Return the tree as plain values with every set secret replaced by asterisks."""
    values = dataclasses.asdict(settings)
    for name, _default, _doc, is_secret in list_options():
        if is_secret:
            section, _, key = name.partition(".")
            values[section][key] = "***" if values[section][key] else ""
    return values


def _show(default: Any, *, is_secret: bool) -> str:
    text = "" if is_secret else _plain(default)
    return f"`{text}`" if text else "(empty)"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(str(item) for item in value)
    return str(value)
