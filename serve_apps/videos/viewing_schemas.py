"""What players tell of themselves, and the numbers that come of it."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from serve_apps.videos.viewing_service import Analytics, Told
from storage.watch_sessions import PARTS

Source = Literal[
    "home", "explore", "profile", "library", "playlist", "related", "embed", "external", "direct"
]
Part = Annotated[int, Field(ge=0, lt=PARTS)]
COUNT_MAX = 100_000
MS_MAX = 86_400_000
EXAMPLE_SESSION = "01980f70-5555-4d3e-9f10-2b6f0c9a4d16"


class WatchRequest(BaseModel):
    """A session of a player, as it stands: every beacon says everything again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "session": EXAMPLE_SESSION,
                    "watched_ms": 42_000,
                    "parts": [0, 1, 2, 3],
                    "source": "home",
                    "start_ms": 640,
                    "stalls": 1,
                    "stalled_ms": 900,
                    "switches": 2,
                }
            ]
        },
    )

    session: uuid.UUID = Field(description="Chosen by the player, anew for each time it plays.")
    watched_ms: int = Field(ge=0, le=MS_MAX, description="How long it has played.")
    parts: list[Part] = Field(max_length=PARTS, description="Hundredths that were played.")
    source: Source = "direct"
    start_ms: int | None = Field(
        default=None, ge=0, le=MS_MAX, description="From the wish to play to the first picture."
    )
    stalls: int = Field(default=0, ge=0, le=COUNT_MAX)
    stalled_ms: int = Field(default=0, ge=0, le=MS_MAX)
    switches: int = Field(default=0, ge=0, le=COUNT_MAX, description="Changes of quality.")


class WatchBody(BaseModel):
    """Whether this session is a view by now."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"view": True}]})

    view: bool


class DayBody(BaseModel):
    """One day, in UTC."""

    day: str
    views: int
    watched_ms: int
    likes: int = Field(description="Given on that day, and not taken back.")
    comments: int
    shares: int = Field(description="Each person counts once a day.")


class ExperienceBody(BaseModel):
    """How playing went: averages over sessions."""

    start_ms: int | None
    stalled_share: float = Field(description="Time stalled per time watched.")
    stalls: float = Field(description="Per session.")
    switches: float = Field(description="Of quality, per session.")


class AnalyticsBody(BaseModel):
    """A video's numbers; they follow what players tell within two minutes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "views": 12,
                    "sessions": 15,
                    "watched_ms": 900_000,
                    "watching_now": 1,
                    "likes": 3,
                    "comments": 1,
                    "shares": 2,
                    "days": [
                        {
                            "day": "2026-01-01",
                            "views": 12,
                            "watched_ms": 900_000,
                            "likes": 3,
                            "comments": 1,
                            "shares": 2,
                        }
                    ],
                    "retention": [1.0, 0.9, 0.8],
                    "sources": {"home": 10, "direct": 5},
                    "devices": {"computer": 9, "phone": 6},
                    "countries": {"DE": 11, "FR": 3},
                    "experience": {
                        "start_ms": 640,
                        "stalled_share": 0.01,
                        "stalls": 0.2,
                        "switches": 1.5,
                    },
                }
            ]
        }
    )

    views: int
    sessions: int
    watched_ms: int
    watching_now: int
    likes: int
    comments: int
    shares: int
    days: list[DayBody]
    retention: list[float] = Field(description="Share of sessions that played each hundredth.")
    sources: dict[str, int]
    devices: dict[str, int]
    countries: dict[str, int] = Field(
        description="By two letters (ISO 3166-1); sessions of unknown countries are in none."
    )
    experience: ExperienceBody


def read_told(body: WatchRequest) -> Told:
    """Read a beacon."""
    return Told(
        body.session,
        body.watched_ms,
        body.parts,
        body.source,
        body.start_ms,
        body.stalls,
        body.stalled_ms,
        body.switches,
    )


def describe_analytics(found: Analytics) -> AnalyticsBody:
    """Write the numbers as an answer."""
    days = found.days
    sessions = sum(it.sessions for it in days)
    watched_ms = sum(it.watched_ms for it in days)
    starts = sum(it.starts for it in days)
    start_ms = sum(it.start_ms for it in days)
    return AnalyticsBody(
        views=sum(it.views for it in days),
        sessions=sessions,
        watched_ms=watched_ms,
        watching_now=found.watching_now,
        likes=sum(it.likes for it in days),
        comments=sum(it.comments for it in days),
        shares=sum(it.shares for it in days),
        days=[
            DayBody(
                day=it.day.isoformat(),
                views=it.views,
                watched_ms=it.watched_ms,
                likes=it.likes,
                comments=it.comments,
                shares=it.shares,
            )
            for it in days
        ],
        retention=found.retention,
        sources=found.sources,
        devices=found.devices,
        countries=found.countries,
        experience=ExperienceBody(
            start_ms=round(start_ms / starts) if starts else None,
            stalled_share=_divide(sum(it.stalled_ms for it in days), watched_ms),
            stalls=_divide(sum(it.stalls for it in days), sessions),
            switches=_divide(sum(it.switches for it in days), sessions),
        ),
    )


def _divide(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
