"""Which edge a publisher or viewer is sent to; pure, over what `storage.edges` lists.

A live can be watched at any edge. `avoid` is the address of one that just failed a client: it may
be dead for seconds before its row says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage.edges import EdgeEntry

RELAY_PAYS_FROM = 0.1
"""By so much of an edge's load must another one be idler before a viewer is worth a relay."""


def list_usable(edges: Sequence[EdgeEntry], avoid: str = "") -> list[EdgeEntry]:
    """Return the edges to choose from, in their order; without any better one, all of them."""
    return (
        [edge for edge in edges if edge.url != avoid and not edge.is_late]
        or [edge for edge in edges if edge.url != avoid]
        or list(edges)
    )


def decide_ingest(edges: Sequence[EdgeEntry], last_url: str | None, avoid: str = "") -> EdgeEntry:
    """Return where to publish: where the publisher was last, else the least loaded."""
    usable = list_usable(edges, avoid)
    return next((edge for edge in usable if edge.url == last_url), usable[0])


def decide_watch(edges: Sequence[EdgeEntry], origin_url: str | None, avoid: str = "") -> EdgeEntry:
    """Return where to watch: where the live comes in, unless another edge has far more room."""
    usable = list_usable(edges, avoid)
    idlest = usable[0]
    origin = next((edge for edge in usable if edge.url == origin_url), None)
    if origin is not None and origin.load <= idlest.load + RELAY_PAYS_FROM:
        return origin
    return idlest
