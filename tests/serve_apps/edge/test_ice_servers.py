"""STUN and TURN servers are named as RFC 9725 4.6 wants it, with credentials coturn accepts."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest

from kit.setting_sections import SettingsInvalid
from serve_apps.edge.ice_servers import CREDENTIALS_S, IceServers

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TURN = "turn:turn.example.org:3478?transport=udp"


def test_a_stun_server_needs_no_credentials() -> None:
    links = IceServers(["stun:stun.example.org:3478"], "").list_links("abc", NOW)
    assert links == ['<stun:stun.example.org:3478>; rel="ice-server"']


def test_a_turn_server_gets_credentials_that_end() -> None:
    (link,) = IceServers([TURN], "secret").list_links("abc", NOW)
    name = f"{int(NOW.timestamp()) + CREDENTIALS_S}:abc"
    digest = hmac.digest(b"secret", name.encode(), hashlib.sha1)
    credential = base64.b64encode(digest).decode()
    assert link == (
        f'<{TURN}>; rel="ice-server"; username="{name}"; credential="{credential}"; '
        'credential-type="password"'
    )


@pytest.mark.parametrize(
    "url", ["http://x", "turn:", "stun:a b", 'turn:x>; rel="y"', "stun:x?transport=sctp"]
)
def test_what_is_no_ice_server_is_refused_at_start(url: str) -> None:
    with pytest.raises(SettingsInvalid):
        IceServers([url], "secret")


def test_a_turn_server_without_its_secret_is_refused_at_start() -> None:
    with pytest.raises(SettingsInvalid, match="turn_secret"):
        IceServers([TURN], "")
