"""What the feeds answer beyond the shapes of their items."""

from __future__ import annotations

import enum

from pydantic import Field

from serve_apps.http.schemas import ItemPage
from serve_apps.posts.schemas import PostBody

ORDER_DOC = """\
Pages are cut newest first, so that they never repeat or skip a post. Within a page, posts that an
earlier visit (ten minutes ago or more) was shown stand behind those it was not: `unseen_first`.
When the reader's ranker does not answer in time, the page is as it was cut: `newest_first`."""


class HomeOrder(enum.StrEnum):
    """How the posts of a page are ordered."""

    UNSEEN_FIRST = "unseen_first"
    NEWEST_FIRST = "newest_first"


class HomePage(ItemPage[PostBody]):
    """A page of the home feed."""

    order: HomeOrder = Field(description=ORDER_DOC, examples=["unseen_first"])
