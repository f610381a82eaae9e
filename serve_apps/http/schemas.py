"""Pieces of schemas that several features share: pages, page queries, people in a line."""

from __future__ import annotations

import uuid
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from kit.cursors import CURSOR_CHARS_MAX, LIMIT_DEFAULT, LIMIT_MAX, encode_cursor
from storage.users import UserCard

Item = TypeVar("Item")

EXAMPLE_CURSOR = encode_cursor("01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d11")


class ItemPage(BaseModel, Generic[Item]):
    """One page of a list; `next_cursor` asks for the next, null at the end."""

    items: list[Item]
    next_cursor: str | None = Field(examples=[EXAMPLE_CURSOR])


class PersonBody(BaseModel):
    """A person in a line."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d11",
                    "username": "ada",
                    "display_name": "Ada",
                }
            ]
        }
    )

    id: uuid.UUID
    username: str
    display_name: str


class PageQuery(BaseModel):
    """Where in a list, and how much of it."""

    cursor: str | None
    limit: int


def read_page_query(
    cursor: Annotated[
        str | None,
        Query(
            max_length=CURSOR_CHARS_MAX,
            description="`next_cursor` of the page before.",
            examples=[EXAMPLE_CURSOR],
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Items per page.")] = LIMIT_DEFAULT,
) -> PageQuery:
    """Read `?cursor=&limit=`."""
    return PageQuery(cursor=cursor, limit=limit)


PageRequest = Annotated[PageQuery, Depends(read_page_query)]
AvoidedEdge = Annotated[
    str,
    Query(
        max_length=200,
        description="Address of an edge that just failed: another one is named, if there is one.",
        examples=["http://localhost:8001"],
    ),
]


def describe_person(card: UserCard) -> PersonBody:
    """Write a person as an answer."""
    return PersonBody(id=card.id, username=card.username, display_name=card.display_name)
