"""The sections of the settings: every option with its default and its sentence for the manual.

`settings.py` reads them from file and environment. Each checks what depends on itself alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kit.errors import AppError

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
        "Smaller pictures of lives for HLS: auto (480p, 240p) or some of 1080p, 720p, 480p, "
        "360p, 240p; each live then takes a fifth of a core and more; empty: none.",
    )
    recordings_ladder: tuple[str, ...] = option(
        ("720p", "480p", "240p"),
        "Smaller pictures of recordings and clips, made once the live has ended, by the same "
        "names; an hour of 1080p then takes half an hour of a core; empty: none.",
    )
    ladders_max: int = option(2, "Lives that one node makes smaller pictures of at once.")

    def __post_init__(self) -> None:
        for name in ("ladder", "recordings_ladder"):
            if unknown := set(getattr(self, name)) - set(LADDER_NAMES):
                raise SettingsInvalid(f"live.{name} has some of {LADDER_NAMES}, not {unknown}.")


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
    download_ttl_s: int = option(
        86_400, "Life of a link to the file of a video that not everybody may see."
    )


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
    moved_bytes_min: int = option(
        512 << 10,
        "Bodies of this size are moved from socket to file by the kernel, where no TLS of an edge"
        " and no bucket is between; smaller ones are read, which costs less for few bytes.",
    )
    expires_s: int = option(86_400, "An unfinished upload is kept so long after its last bytes.")
    per_user_max: int = option(20, "Unfinished uploads of one user.")
    quota_bytes: int = option(
        1 << 40, "What one user's video files may take together, deleted ones while they are kept."
    )
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
        True,
        "Whether a large file's video is begun while it arrives, where no other work waits: it is"
        " there sooner, and as fine as the first half of its pictures needs, not all of them.",
    )
    reencodings_per_user_max: int = option(
        5, "Videos of one user that are being made again at a time; beyond it: 429."
    )
    replaced_kept_s: int = option(
        21_600, "A replaced version stays so long for players that began with it."
    )
    deleted_kept_days: int = option(
        30,
        "Days that a deleted video's bytes stay, counted when it is deleted; 0: they go in"
        " minutes.",
    )

    @property
    def deleted_kept_s(self) -> int:
        """How long a deleted video's bytes stay, in seconds."""
        return self.deleted_kept_days * 86_400

    def __post_init__(self) -> None:
        if self.short_side_max < 144:
            raise SettingsInvalid("processing.short_side_max is at least 144.")
        if not 0 <= self.deleted_kept_days <= 3650:
            raise SettingsInvalid("processing.deleted_kept_days is 0 to 3650.")
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
