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

from kit.errors import AppError

SETTINGS_VARIABLE = "SOCIALFLOW_SETTINGS"
HOME_VARIABLE = "SOCIALFLOW_HOME"
HOME_DEFAULT = Path(".socialflow")
ALIASES = {
    "DATABASE_URL": ("database", "url"),
    "REDIS_URL": ("cache", "url"),
    "PUBLIC_URL": ("http", "public_url"),
}
LADDER_NAMES = ("auto", "1080p", "720p", "480p", "360p", "240p")


class SettingsInvalid(AppError):
    """A setting is unknown, of the wrong type, or readable by others."""

    code, status, message = "settings_invalid", 500, "The settings cannot be used."


def option(default: Any, doc: str, *, secret: bool = False) -> Any:
    """Declare a setting with its default, its sentence for the manual, and whether to mask it."""
    return field(default=default, metadata={"doc": doc, "secret": secret})


@dataclass(frozen=True)
class HttpSettings:
    """The API's own port."""

    port: int = option(8000, "Port of the page and the API; all replicas share it.")
    hosts: tuple[str, ...] = option(("127.0.0.1", "::1"), "Addresses the API listens on.")
    public_url: str = option("http://localhost:8000", "What people type to reach the page.")
    replicas: int = option(2, "API replicas on this node.")
    trusted_proxies: tuple[str, ...] = option(
        (), "Networks whose X-Forwarded-For is believed, e.g. 127.0.0.1/32."
    )
    body_bytes_max: int = option(1 << 20, "Largest JSON body accepted.")


@dataclass(frozen=True)
class EdgeSettings:
    """Edges: WebSocket, WebRTC, playback and uploads."""

    count: int = option(1, "Edges on this node.")
    host: str = option("127.0.0.1", "Address edges listen on.")
    public_host: str = option("localhost", "Host name clients use to reach an edge.")
    port: int = option(8001, "HTTP port of edge 0; edge n adds 10 n.")
    udp_port: int = option(8002, "WebRTC port of edge 0; edge n adds 10 n.")
    public_ips: tuple[str, ...] = option(
        (), "ICE candidates, IPv4 or IPv6; empty: the default route's address."
    )
    sockets_max: int = option(20_000, "Open WebSockets per edge; beyond it: 503.")
    handshakes_per_s_max: int = option(500, "WebSocket admissions per second and edge.")
    loop_lag_max_ms: int = option(50, "An event loop later than this admits nobody for a second.")
    handshakes_per_address_s_max: int = option(
        100, "Of these, from one address (IPv6: /64); this machine's own are not counted."
    )
    sockets_per_address_max: int = option(2_000, "Open WebSockets of one address; beyond it: 429.")
    viewers_per_room_max: int = option(500, "WHEP viewers of one room on one edge.")
    media_sessions_max: int = option(2_000, "WebRTC sessions per edge, publishers too; then 503.")
    aac_lives_max: int = option(
        8, "Lives whose Opus one edge makes AAC of at once, for HLS; beyond it: 503; 0: none."
    )
    ice_servers: tuple[str, ...] = option(
        (), "stun: and turn: URLs that WHIP and WHEP answers name, for clients behind firewalls."
    )
    turn_secret: str = option(
        "", "Secret shared with the TURN server (coturn: static-auth-secret).", secret=True
    )


@dataclass(frozen=True)
class RtmpSettings:
    """RTMP ingest; every edge of a node listens on the same ports."""

    port: int = option(1935, "RTMP port; 0: none.")
    tls_port: int = option(0, "RTMPS port, usually 443 or 1936; 0: none.")
    tls_certificate: str = option("", "PEM file of the certificate chain for RTMPS.")
    tls_key: str = option("", "PEM file of its private key.")
    connections_max: int = option(200, "Open RTMP connections per edge.")
    bitrate_max_bps: int = option(50_000_000, "A publisher above it for 5 s is cut.")


@dataclass(frozen=True)
class LiveSettings:
    """What of a live is made beside what its publisher sends."""

    ladder: tuple[str, ...] = option(
        (),
        "Smaller pictures of H.264 lives for HLS: auto (480p, 240p) or some of 1080p, 720p, 480p, "
        "360p, 240p; each live then takes a fifth of a core and more; empty: none.",
    )
    ladders_max: int = option(2, "Lives that one node makes smaller pictures of at once.")

    def __post_init__(self) -> None:
        if unknown := set(self.ladder) - set(LADDER_NAMES):
            raise SettingsInvalid(f"live.ladder has some of {LADDER_NAMES}, not {unknown}.")


@dataclass(frozen=True)
class HostSettings:
    """Hosts of live rooms."""

    count: int = option(2, "Room hosts on this node.")
    lease_ttl_s: float = option(5.0, "A host that did not renew for so long may be fenced.")
    renew_every_s: float = option(1.0, "How often a host renews its lease.")


@dataclass(frozen=True)
class DatabaseSettings:
    """PostgreSQL; an empty url means the embedded server."""

    url: str = option("", "postgresql://… of a server of your own.", secret=True)
    api_pool: int = option(10, "Connections per API replica.")
    host_pool: int = option(6, "Connections per host: two per kind of what it runs.")
    runner_pool: int = option(6, "Connections of the job runner.")
    edge_pool: int = option(2, "Connections per edge.")
    wait_s: float = option(2.0, "Longest wait for a free connection; then 503.")


@dataclass(frozen=True)
class CacheSettings:
    """Valkey or Redis as cache and bus; an empty url means the embedded server."""

    url: str = option("", "redis://… of a server of your own.", secret=True)
    maxmemory_mb: int = option(64, "Memory of the embedded cache.")


@dataclass(frozen=True)
class ObjectSettings:
    """Where bytes live."""

    url: str = option("", "file:///… or s3://…; empty: objects/ below the home.")


@dataclass(frozen=True)
class AuthSettings:
    """Tokens and passwords."""

    token_key: str = option("", "Signs access tokens (made at first start).", secret=True)
    grant_private_key: str = option(
        "", "Ed25519 key (hex) that signs grants and tickets.", secret=True
    )
    grant_public_key: str = option("", "Its public half (hex), all that an edge holds.")
    content_key: str = option(
        "",
        "From it follow the keys of protected videos, which never play again without it.",
        secret=True,
    )
    access_ttl_s: int = option(900, "Life of an access token.")
    refresh_ttl_s: int = option(30 * 86_400, "Life of a refresh token.")
    ticket_ttl_s: int = option(30, "Life of a single-use ticket.")
    grant_ttl_s: int = option(600, "Life of a playback grant.")


@dataclass(frozen=True)
class ClusterSettings:
    """Ray and the product's own links."""

    key: str = option("", "Proves membership on links between hosts and edges.", secret=True)
    host: str = option("127.0.0.1", "Address at which other machines of the cluster reach this.")
    node: str = option("", "Name of this machine in the cluster; empty: its host name.")
    head: str = option("", "Ray of the head (host:port), on a machine that joined one.")
    runners: int = option(1, "Job runners on this node: 0 or 1.")
    connections_elsewhere: int = option(
        0, "PostgreSQL connections other machines may open; the invitation counts them."
    )
    ray_address: str = option("", "GCS address; empty: started by `socialflow up`.")
    ray_port: int = option(6379, "GCS port; a taken one is replaced by a free one.")
    namespace: str = option("socialflow", "Ray namespace of our named actors.")
    stuck_after_s: float = option(
        20.0, "An actor that answers nothing for so long is ended and made anew."
    )
    media_workers: int = option(1, "Transcoding tasks at a time on this node.")
    object_store_mb: int = option(200, "Ray object store.")
    dashboard: bool = option(False, "Start Ray's dashboard.")


@dataclass(frozen=True)
class UploadSettings:
    """Limits of uploads."""

    size_bytes_max: int = option(20 << 30, "Largest video file.")
    duration_s_max: int = option(43_200, "Longest video; checked where it is announced and read.")
    piece_bytes: int = option(8 << 20, "Largest acknowledged piece.")
    expires_s: int = option(86_400, "An unfinished upload is kept so long.")
    per_user_max: int = option(20, "Unfinished uploads of one user.")
    quota_bytes: int = option(1 << 40, "What one user's video files may take together.")
    import_allowed: tuple[str, ...] = option(
        (), "Private IP addresses that videos may be imported from; all public ones may."
    )


@dataclass(frozen=True)
class ProcessingSettings:
    """How uploaded videos are made; whoever has one made again may choose otherwise."""

    short_side_max: int = option(2160, "Largest size made, by the shorter side, such as 1080.")
    evens_loudness: bool = option(True, "Whether sound is made as loud as that of others.")
    codecs: tuple[str, ...] = option(
        (), "Of av1, vp9, hevc: what every video is made in beside H.264; each costs as much again."
    )
    nvenc: str = option("off", "auto: GPUs with NVENC make pictures above 480p; off: never.")
    protected: bool = option(
        False, "Whether uploads are encrypted where nobody chose; keys go to whoever may watch."
    )
    head_start: bool = option(
        True, "Whether a large file's video is begun while it arrives, where no other work waits."
    )
    reencodings_per_user_max: int = option(
        5, "Videos of one user that are being made again at a time; beyond it: 429."
    )
    replaced_kept_s: int = option(
        21_600, "A replaced version stays so long for players that began with it."
    )

    def __post_init__(self) -> None:
        if self.short_side_max < 144:
            raise SettingsInvalid("processing.short_side_max is at least 144.")
        if self.nvenc not in ("off", "auto"):
            raise SettingsInvalid("processing.nvenc is off or auto.")
        if unknown := set(self.codecs) - {"av1", "vp9", "hevc"}:
            raise SettingsInvalid(f"processing.codecs has av1, vp9 or hevc, not {unknown}.")


@dataclass(frozen=True)
class LimitSettings:
    """Limits of rooms and text."""

    chat_chars_max: int = option(500, "Longest chat line.")
    chat_per_10_s_max: int = option(20, "Chat lines of one user in ten seconds.")
    chat_moderation_timeout_s: float = option(1.0, "How long moderation may look at a chat line.")
    chat_moderation_default: str = option(
        "hold", "allow, hold or refuse: a chat line that moderation did not answer for in time."
    )
    chat_blocked_words: tuple[str, ...] = option(
        (),
        "Words that no guest's chat line may have, in any room (200 of 2 to 60 characters).",
    )
    chat_held_words: tuple[str, ...] = option(
        (), "Words with which a guest's chat line waits for a moderator, in any room."
    )
    chat_holds_links: bool = option(
        False, "Whether guests' chat lines with a link wait for a moderator, in any room."
    )
    post_chars_max: int = option(5000, "Longest post.")
    comment_chars_max: int = option(2000, "Longest comment.")
    feed_rank_timeout_s: float = option(
        0.15, "How long a page of the home feed waits for its order; then it is newest first."
    )
    rates_enabled: bool = option(True, "Count requests against rate tiers.")

    def __post_init__(self) -> None:
        if self.chat_moderation_default not in ("allow", "hold", "refuse"):
            raise SettingsInvalid("limits.chat_moderation_default is allow, hold or refuse.")
        for words in (self.chat_blocked_words, self.chat_held_words):
            if len(words) > 200 or any(not 2 <= len(word) <= 60 for word in words):
                raise SettingsInvalid("A list of words takes 200, of 2 to 60 characters each.")


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
