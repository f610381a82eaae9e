"""What the API says of how a live goes and went, as documented in OpenAPI."""

from __future__ import annotations

import uuid

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from actors.live_room.health import HealthShown, IngestReport
from actors.live_room.quality import QualityReport, find_percentile_ms
from kit.clock import format_time
from serve_apps.live.analytics import LiveAnalytics
from serve_apps.live.schemas import EXAMPLE_ID
from storage.live_samples import LiveSample

EXAMPLE_POINT: dict[str, JsonValue] = {
    "at": "2026-01-01T21:12:40.000Z",
    "span_s": 10.0,
    "viewers": 5,
    "webrtc": 3,
    "hls": 1,
    "chat": 1,
    "lines": 4,
    "suffering": 0.25,
    "stalled": 0.01,
    "loss": 0.002,
    "latency_ms": 300,
    "join_ms": 500,
    "bitrate_bps": 2_480_000,
    "frames_per_s": 30.0,
    "keyframe_ms": 2000,
    "packet_loss": 0.0,
}
EXAMPLE_QUALITY: dict[str, JsonValue] = {
    "players": {"webrtc": 3, "hls": 1},
    "suffering": 0.25,
    "freezes": 1,
    "stalled": 0.01,
    "loss": 0.002,
    "latency_ms": 300,
    "latency_p95_ms": 1500,
    "join_ms": 300,
    "join_p95_ms": 500,
    "rungs": {"source": 4},
}
EXAMPLE_INGEST: dict[str, JsonValue] = {
    "bitrate_bps": 2_480_000,
    "frames_per_s": 30.0,
    "keyframe_ms": 2000,
    "packet_loss": 0.0,
    "hls_off": None,
    "has_b_frames": False,
}
EXAMPLE_HEALTH: dict[str, JsonValue] = {
    "status": "live",
    "ways": {"webrtc": 3, "hls": 1, "chat": 1},
    "visitors": 9,
    "ingest": EXAMPLE_INGEST,
    "quality": EXAMPLE_QUALITY,
    "points": [EXAMPLE_POINT],
}
EXAMPLE_ANALYTICS: dict[str, JsonValue] = {
    "live_id": EXAMPLE_ID,
    "title": "Night drive",
    "started_at": "2026-01-01T21:12:30.000Z",
    "ended_at": "2026-01-01T22:12:30.000Z",
    "viewers_peak": 5,
    "visitors": 9,
    "watched_s": {"webrtc": 9120.0, "hls": 1800.0},
    "lines": 120,
    "points": [EXAMPLE_POINT],
}
SHARE = "From 0 to 1; null while nobody tells."


class LivePointBody(BaseModel):
    """A moment of a live: counts are the most at once, shares and delays of those who told."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_POINT]})

    at: str
    span_s: float
    viewers: int
    webrtc: int
    hls: int
    chat: int
    lines: int
    suffering: float | None = Field(description=SHARE)
    stalled: float | None = Field(description=SHARE)
    loss: float | None = Field(description=SHARE)
    latency_ms: int | None
    join_ms: int | None
    bitrate_bps: int | None
    frames_per_s: float | None
    keyframe_ms: int | None
    packet_loss: float | None = Field(description=SHARE)


class HlsOffBody(BaseModel):
    """Why there is no HLS, and no recording: the picture comes in a codec that neither carries."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"codec": "VP8"}]})

    codec: str | None = Field(description="Null: no picture comes.")


class IngestHealthBody(BaseModel):
    """What the publisher sent within the last two seconds."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_INGEST]})

    bitrate_bps: int
    frames_per_s: float
    keyframe_ms: int | None = Field(description="From one keyframe to the next.")
    packet_loss: float | None = Field(description="From 0 to 1; null by RTMP, which loses none.")
    hls_off: HlsOffBody | None = Field(
        description="Null: viewers can have HLS, and what comes in is stored."
    )
    has_b_frames: bool = Field(
        description="The encoder sends B-frames, which WebRTC cannot show: viewers have HLS alone."
    )


class WatchHealthBody(BaseModel):
    """What players told of their last seconds."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_QUALITY]})

    players: dict[str, int] = Field(description="Who told, by way.")
    suffering: float | None = Field(
        description="Share of them who stood still for two per cent of the time, or lost five "
        "per cent of the packets."
    )
    freezes: int
    stalled: float | None = Field(description="Share of the time that pictures stood still.")
    loss: float | None = Field(description=SHARE)
    latency_ms: int | None
    latency_p95_ms: int | None
    join_ms: int | None
    join_p95_ms: int | None
    rungs: dict[str, int]


class HealthBody(BaseModel):
    """How a live goes."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_HEALTH]})

    status: str
    ways: dict[str, int]
    visitors: int = Field(description="How many different people came so far.")
    ingest: IngestHealthBody | None
    quality: WatchHealthBody
    points: list[LivePointBody] = Field(description="The last ten minutes.")


class AnalyticsBody(BaseModel):
    """How a live went."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_ANALYTICS]})

    live_id: uuid.UUID
    title: str
    started_at: str | None
    ended_at: str | None
    viewers_peak: int
    visitors: int = Field(
        description="How many different people came; beyond 511 estimated, 1.6 % off as a rule."
    )
    watched_s: dict[str, float] = Field(description="With a picture, of all together, by way.")
    lines: int
    points: list[LivePointBody] = Field(description="At most 240, evenly apart.")


def describe_health(shown: HealthShown) -> HealthBody:
    """Write how a live goes."""
    return HealthBody(
        status=shown.status,
        ways=shown.ways,
        visitors=shown.visitors,
        ingest=None if shown.ingest is None else _describe_ingest(shown.ingest),
        quality=_describe_quality(shown.quality),
        points=[describe_point(sample) for sample in shown.samples],
    )


def describe_analytics(analytics: LiveAnalytics) -> AnalyticsBody:
    """Write how a live went."""
    live = analytics.live
    return AnalyticsBody(
        live_id=live.id,
        title=live.title,
        started_at=None if live.started_at is None else format_time(live.started_at),
        ended_at=None if live.ended_at is None else format_time(live.ended_at),
        viewers_peak=analytics.viewers_peak,
        visitors=analytics.visitors,
        watched_s=analytics.watched_s,
        lines=analytics.lines,
        points=[describe_point(sample) for sample in analytics.samples],
    )


def describe_point(sample: LiveSample) -> LivePointBody:
    """Write a sample as a point of a curve."""
    packets = sample.packets_received
    return LivePointBody(
        at=format_time(sample.at),
        span_s=sample.span_ms / 1000,
        viewers=sample.viewers,
        webrtc=sample.webrtc,
        hls=sample.hls,
        chat=sample.chat,
        lines=sample.lines,
        suffering=_share(sample.suffering, sample.players),
        stalled=_share(sample.stalled_ms, sample.played_ms),
        loss=_share(sample.lost, sample.lost + sample.received),
        latency_ms=sample.latency_ms,
        join_ms=sample.join_p95_ms,
        bitrate_bps=sample.bitrate_bps,
        frames_per_s=sample.frames_per_s,
        keyframe_ms=sample.keyframe_ms,
        packet_loss=None if packets is None else _lose(sample.packets_lost, packets),
    )


def _describe_ingest(ingest: IngestReport) -> IngestHealthBody:
    packets = ingest.packets_received
    return IngestHealthBody(
        bitrate_bps=ingest.bitrate_bps,
        frames_per_s=ingest.frames_per_s,
        keyframe_ms=ingest.keyframe_ms,
        packet_loss=None if packets is None else _lose(ingest.packets_lost, packets),
        hls_off=None if ingest.is_carried else HlsOffBody(codec=ingest.uncarried_codec),
        has_b_frames=ingest.has_b_frames,
    )


def _describe_quality(quality: QualityReport) -> WatchHealthBody:
    return WatchHealthBody(
        players={str(way): count for way, count in quality.players.items()},
        suffering=_share(quality.suffering, sum(quality.players.values())),
        freezes=quality.freezes,
        stalled=_share(quality.stalled_ms, quality.played_ms),
        loss=_lose(quality.lost, quality.received),
        latency_ms=find_percentile_ms(quality.latencies, 0.5),
        latency_p95_ms=find_percentile_ms(quality.latencies, 0.95),
        join_ms=find_percentile_ms(quality.joins, 0.5),
        join_p95_ms=find_percentile_ms(quality.joins, 0.95),
        rungs=quality.rungs,
    )


def _lose(lost: int | None, received: int) -> float | None:
    return _share(lost or 0, (lost or 0) + received)


def _share(part: int, whole: int) -> float | None:
    return None if whole <= 0 else round(part / whole, 4)
