"""What the subscriptions API takes and gives."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from kit.clock import format_time
from serve_apps.http.schemas import PersonBody
from storage.subscriptions import Subscription

EXAMPLE_PERSON: dict[str, JsonValue] = {
    "id": "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d11",
    "username": "bob",
    "display_name": "Bob",
}
EXAMPLE_SUBSCRIPTION: dict[str, JsonValue] = {
    "id": "01980f5e-9d10-7d3e-9f10-2b6f0c9a4d12",
    "user": EXAMPLE_PERSON,
    "source": "gift",
    "since": "2026-01-01T12:00:00.000Z",
    "until": "2026-02-01T12:00:00.000Z",
}


class GiftRequest(BaseModel):
    """How long a complimentary subscription lasts."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"until": "2026-02-01T12:00:00Z"}]}
    )

    until: Annotated[
        AwareDatetime | None,
        Field(description="When it ends, within ten years; null: only when you end it."),
    ] = None


class SubscriptionBody(BaseModel):
    """A subscription; `user` is its other side: the subscriber, or the channel's owner."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_SUBSCRIPTION]})

    id: uuid.UUID
    user: PersonBody
    source: Literal["gift", "payment"]
    since: str
    until: str | None = Field(description="When it ends; null: without an end.")


def describe_subscription(row: Subscription) -> SubscriptionBody:
    """Write a subscription as an answer."""
    person = {"id": row.user_id, "username": row.username, "display_name": row.display_name}
    return SubscriptionBody.model_validate(
        {
            "id": row.id,
            "user": person,
            "source": row.source,
            "since": format_time(row.since),
            "until": None if row.until is None else format_time(row.until),
        }
    )
