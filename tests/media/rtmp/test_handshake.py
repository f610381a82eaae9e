"""The handshake: simple clients get an echo, those that sign get signatures they can check."""

import hmac
import os

import pytest

from media.rtmp.errors import RtmpMalformed
from media.rtmp.handshake import BLOCK_BYTES, Handshake
from tests.media.rtmp.client import C0_C1, sign_c1

pytestmark = pytest.mark.unit

SHARED = bytes.fromhex("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae")
SERVER = b"Genuine Adobe Flash Media Server 001"


def test_a_simple_client_gets_its_own_bytes_back() -> None:
    handshake = Handshake(os.urandom)
    answer, rest = handshake.receive(C0_C1)
    assert (answer[0], len(answer), rest) == (3, 1 + 2 * BLOCK_BYTES, b"")
    assert answer[1 + BLOCK_BYTES :] == C0_C1[1:]
    assert not handshake.is_done
    assert handshake.receive(b"x" * BLOCK_BYTES + b"next") == (b"", b"next")
    assert handshake.is_done


def test_bytes_may_come_one_at_a_time() -> None:
    handshake, answer = Handshake(os.urandom), b""
    for byte in C0_C1 + b"x" * BLOCK_BYTES:
        answer += handshake.receive(bytes([byte]))[0]
    assert handshake.is_done
    assert len(answer) == 1 + 2 * BLOCK_BYTES


@pytest.mark.parametrize("layout", [8, 772])
def test_a_client_that_signs_finds_the_servers_signatures(layout: int) -> None:
    c1 = sign_c1(layout)
    handshake = Handshake(os.urandom)
    answer, _rest = handshake.receive(b"\x03" + c1)
    assert handshake.has_digest
    s1, s2 = answer[1 : 1 + BLOCK_BYTES], answer[1 + BLOCK_BYTES :]
    place = sum(s1[layout : layout + 4]) % 728 + layout + 4
    expected = hmac.digest(SERVER, s1[:place] + s1[place + 32 :], "sha256")
    assert s1[place : place + 32] == expected
    place = sum(c1[layout : layout + 4]) % 728 + layout + 4
    key = hmac.digest(SERVER + SHARED, c1[place : place + 32], "sha256")
    assert s2[-32:] == hmac.digest(key, s2[:-32], "sha256")


def test_a_false_digest_gets_the_simple_handshake() -> None:
    c1 = sign_c1(8, player=b"somebody else")
    handshake = Handshake(os.urandom)
    answer, _rest = handshake.receive(b"\x03" + c1)
    assert not handshake.has_digest
    assert answer[1 + BLOCK_BYTES :] == c1


def test_another_version_is_refused() -> None:
    with pytest.raises(RtmpMalformed):
        Handshake(os.urandom).receive(b"\x06")
