"""Whose request it is: a forwarded address counts only where trusted proxies passed it on."""

from __future__ import annotations

import pytest

from kit.setting_sections import SettingsInvalid
from serve_apps.access.callers import find_caller, is_of_this_machine

pytestmark = pytest.mark.unit

PROXIES = ("127.0.0.1/32", "10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "203.0.113.9, 198.51.100.1, 10.1.2.3", "198.51.100.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "nonsense, 198.51.100.1", "198.51.100.1"),
        ("fd00::1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "", "192.0.2.7"),
        ("unix", "198.51.100.1", "unix"),
    ],
)
def test_the_caller_is_the_last_that_no_trusted_proxy_is(
    peer: str, forwarded: str, caller: str
) -> None:
    assert find_caller(peer, forwarded, PROXIES) == caller


def test_nobody_is_trusted_by_default() -> None:
    assert find_caller("127.0.0.1", "198.51.100.1", ()) == "127.0.0.1"


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsInvalid):
        find_caller("127.0.0.1", "", ("everybody",))


def test_this_machine_is_known_by_its_loopback_addresses() -> None:
    assert is_of_this_machine(find_caller("::1", "", ()))
    assert is_of_this_machine("127.0.0.1")
    assert not is_of_this_machine("192.0.2.7")
