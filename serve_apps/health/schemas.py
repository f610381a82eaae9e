"""Bodies of the health routes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Health(BaseModel):
    """The replica in one word: ok, degraded or down."""

    status: str
    version: str

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "ok", "version": "0.1.0"}]}
    )


class PartReport(BaseModel):
    """One part the API leans on."""

    name: str
    status: str
    took_ms: float


class DetailedHealth(Health):
    """The replica with its parts."""

    uptime_s: float
    parts: list[PartReport]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ok",
                    "version": "0.1.0",
                    "uptime_s": 86.4,
                    "parts": [
                        {"name": "database", "status": "ok", "took_ms": 1.2},
                        {"name": "cache", "status": "ok", "took_ms": 0.4},
                    ],
                }
            ]
        }
    )
