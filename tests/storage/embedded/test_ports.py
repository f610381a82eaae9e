"""Ports that servers choose by themselves."""

from __future__ import annotations

import pytest

from cluster.topology import list_reserved_ports
from kit.settings import Settings, load_settings
from storage.embedded.errors import PortTaken
from storage.embedded.ports import PORT_MAX, PORT_MIN, choose_port, get_free_port, is_port_free

pytestmark = pytest.mark.db

ALL = range(PORT_MIN, PORT_MAX + 1)


def test_a_reserved_port_is_never_chosen() -> None:
    reserved = {port for port in ALL if port % 4}
    last = next(port for port in ALL if port not in reserved and is_port_free(port))
    assert choose_port(last, reserved) == last
    chosen = [get_free_port(reserved) for _ in range(20)]
    chosen += [choose_port(wish, reserved) for wish in (None, *sorted(reserved)[:20])]
    assert not reserved & set(chosen)
    with pytest.raises(PortTaken):
        get_free_port(ALL)


def test_what_other_parts_listen_on_is_reserved() -> None:
    settings: Settings = load_settings({"SOCIALFLOW_EDGE_COUNT": "2"})
    edge, rtmp = settings.edge.port, settings.rtmp
    wanted = {settings.http.port, edge, edge + 10, rtmp.port, rtmp.tls_port}
    assert list_reserved_ports(settings) == {*wanted - {0}, settings.cluster.ray_port}
    assert settings.edge.udp_port not in list_reserved_ports(settings)
