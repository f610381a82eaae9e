"""What the crew says of the cluster's nodes."""

from typing import Any

import pytest

from cluster.crew import describe_nodes

pytestmark = pytest.mark.unit


def make_row(name: str, *, is_alive: bool, **resources: float) -> dict[str, Any]:
    """Return a node as Ray lists it."""
    return {
        "NodeName": name,
        "NodeManagerAddress": f"10.0.0.{len(name)}",
        "Alive": is_alive,
        "Resources": resources,
    }


def test_each_node_is_listed_once_the_head_first():
    found = describe_nodes(
        [
            make_row("b", is_alive=False),
            make_row("b", is_alive=True, host=2.0, edge=1.0, api=2.0),
            make_row("a", is_alive=False),
            make_row("z", is_alive=True, **{"node:__internal_head__": 1.0}, media=1.0),
        ]
    )
    assert [(node["name"], node["is_alive"], node["is_head"]) for node in found] == [
        *(("z", True, True), ("a", False, False), ("b", True, False)),
    ]
    assert {kind: found[2][kind] for kind in ("host", "edge", "api", "media")} == {
        **{"host": 2, "edge": 1, "api": 2, "media": 0},
    }


def test_a_node_that_came_back_hides_its_earlier_lives_in_any_order():
    rows = [make_row("b", is_alive=True, host=2.0), make_row("b", is_alive=False)]
    assert describe_nodes(rows) == describe_nodes(rows[::-1])
    assert describe_nodes(rows)[0]["is_alive"]
