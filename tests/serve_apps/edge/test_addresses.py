"""Where the edges of a node listen: each slot has ports of its own."""

from __future__ import annotations

import pytest

from kit.setting_sections import EdgeSettings
from serve_apps.edge.addresses import ELSEWHERE, find_candidate_ips, make_edge_address

pytestmark = pytest.mark.unit


def test_each_slot_has_ports_of_its_own() -> None:
    settings = EdgeSettings(public_host="example.org", port=8001, udp_port=8002)
    addresses = [make_edge_address(settings, slot) for slot in range(3)]
    assert [address.port for address in addresses] == [8001, 8011, 8021]
    assert [address.udp_port for address in addresses] == [8002, 8012, 8022]
    assert addresses[1].url == "http://example.org:8011"


def test_udp_port_zero_is_the_systems_choice_for_every_slot() -> None:
    settings = EdgeSettings(port=8001, udp_port=0)
    assert [make_edge_address(settings, slot).udp_port for slot in range(3)] == [0, 0, 0]


def test_configured_addresses_are_the_candidates_and_no_route_is_asked_for() -> None:
    settings = EdgeSettings(public_ips=("192.0.2.7", "2001:db8::7"))
    asked: list[tuple[str, int]] = []
    assert find_candidate_ips(settings, asked.append) == settings.public_ips
    assert asked == []


def test_without_one_the_default_routes_address_is_the_candidate() -> None:
    routes = {ELSEWHERE: "198.51.100.4"}
    assert find_candidate_ips(EdgeSettings(), routes.get) == ("198.51.100.4",)


@pytest.mark.parametrize("sent_from", [None, "0.0.0.0"])
def test_where_no_route_leads_out_loopback_is_the_candidate(sent_from: str | None) -> None:
    assert find_candidate_ips(EdgeSettings(), lambda _to: sent_from) == ("127.0.0.1",)
