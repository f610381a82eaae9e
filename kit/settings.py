"""One frozen tree of settings, read once at process start.

Values come, later wins, from the defaults below, the TOML file named by SOCIALFLOW_SETTINGS
(mode 0600), and the environment (`SOCIALFLOW_<SECTION>_<FIELD>`, plus DATABASE_URL, REDIS_URL and
PUBLIC_URL). This is the only module that reads the environment. Secrets never leave a process as
an argument: each process loads the file itself.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import stat
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from kit.setting_sections import (
    AuthSettings,
    CacheSettings,
    ClusterSettings,
    DatabaseSettings,
    EdgeSettings,
    HostSettings,
    HttpSettings,
    LimitSettings,
    LiveSettings,
    ObjectSettings,
    ProcessingSettings,
    RtmpSettings,
    SettingsInvalid,
    UploadSettings,
    option,
)

SETTINGS_VARIABLE = "SOCIALFLOW_SETTINGS"
HOME_VARIABLE = "SOCIALFLOW_HOME"
HOME_DEFAULT = Path(".socialflow")
ALIASES = {
    "DATABASE_URL": ("database", "url"),
    "REDIS_URL": ("cache", "url"),
    "PUBLIC_URL": ("http", "public_url"),
}


@dataclass(frozen=True)
class Settings:
    """The whole tree."""

    home: Path = option(HOME_DEFAULT, "Folder of all local state (SOCIALFLOW_HOME).")
    environment: str = option("development", "development or production.")
    log_level: str = option("info", "debug, info, warning or error.")
    http: HttpSettings = field(default_factory=HttpSettings)
    edge: EdgeSettings = field(default_factory=EdgeSettings)
    rtmp: RtmpSettings = field(default_factory=RtmpSettings)
    live: LiveSettings = field(default_factory=LiveSettings)
    hosts: HostSettings = field(default_factory=HostSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    objects: ObjectSettings = field(default_factory=ObjectSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    uploads: UploadSettings = field(default_factory=UploadSettings)
    processing: ProcessingSettings = field(default_factory=ProcessingSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)

    @property
    def run_folder(self) -> Path:
        """Folder of sockets and process records; short paths, mode 0700."""
        return self.home / "run"

    @property
    def keys_folder(self) -> Path:
        """Folder of this machine's certificate and of the authority that signed it."""
        return self.home / "keys"

    @property
    def node_name(self) -> str:
        """Name of this machine, the same in every process on it."""
        return self.cluster.node or platform.node()


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the file and the environment into one tree; raises SettingsInvalid."""
    env = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    file = env.get(SETTINGS_VARIABLE)
    if file:
        values = _read_file(Path(file))
    if HOME_VARIABLE in env:
        values["home"] = env[HOME_VARIABLE]
    for variable, (section, name) in ALIASES.items():
        if env.get(variable):
            values.setdefault(section, {})[name] = env[variable]
    _overlay_environment(values, env)
    built: Settings = _build_section(Settings, values, "settings")
    return built


def copy_environment() -> dict[str, str]:
    """Return a copy of this process's environment, for starting children."""
    return dict(os.environ)


def find_bucket_secret(environ: Mapping[str, str] | None = None) -> str | None:
    """Return the secret of S3's usual environment, which obstore reads by itself for the rest."""
    return (os.environ if environ is None else environ).get("AWS_SECRET_ACCESS_KEY")


def list_options(cls: type = Settings, prefix: str = "") -> list[tuple[str, Any, str, bool]]:
    """List every setting as (dotted name, default, sentence, is secret), for the manual."""
    rows: list[tuple[str, Any, str, bool]] = []
    hints = typing.get_type_hints(cls)
    for item in fields(cls):
        kind = hints[item.name]
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            rows += list_options(kind, f"{prefix}{item.name}.")
        else:
            meta = item.metadata
            rows.append((prefix + item.name, item.default, meta["doc"], meta["secret"]))
    return rows


def _read_file(path: Path) -> dict[str, Any]:
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsInvalid(f"{path} is readable by others: run `chmod 600 {path}`.")
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsInvalid(f"{path} cannot be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path} is not TOML: {error}.") from error


def _overlay_environment(values: dict[str, Any], env: Mapping[str, str]) -> None:
    for name, _default, _doc, _secret in list_options():
        text = env.get("SOCIALFLOW_" + name.replace(".", "_").upper())
        if text is None:
            continue
        section, _, key = name.rpartition(".")
        target = values.setdefault(section, {}) if section else values
        target[key] = text


def _build_section(cls: type, values: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(cls)
    unknown = set(values) - set(hints)
    if unknown:
        raise SettingsInvalid(f"Unknown settings in {where}: {', '.join(sorted(unknown))}.")
    built: dict[str, Any] = {}
    for name, value in values.items():
        kind = hints[name]
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            built[name] = _build_section(kind, value, name)
        else:
            built[name] = _convert(kind, value, f"{where}.{name}")
    return cls(**built)


def _convert(kind: Any, value: Any, where: str) -> Any:
    """Turn a TOML value or an environment text into the declared type."""
    try:
        if kind is bool:
            if isinstance(value, bool):
                return value
            return {"1": True, "true": True, "0": False, "false": False}[str(value).lower()]
        if kind is Path:
            return Path(value)
        if typing.get_origin(kind) is tuple:
            parts = value.split(",") if isinstance(value, str) else value
            return tuple(str(part).strip() for part in parts if str(part).strip())
        return kind(value)
    except (KeyError, ValueError, TypeError) as error:
        raise SettingsInvalid(f"{where} takes {kind.__name__}, not {value!r}.") from error
