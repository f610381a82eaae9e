"""Which level of H.264 an answer lets a publisher send."""

from __future__ import annotations

import pytest

from tests.media.sfu.test_sdp import answer_publish, read_offer

pytestmark = pytest.mark.unit

EITHER = "packetization-mode=1;level-asymmetry-allowed=1"
USUAL = f"profile-level-id=42e01f;{EITHER}"


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        (USUAL, "42e034"),
        (f"profile-level-id=640C1F;{EITHER}", "640c34"),
        (f"profile-level-id=42f00b;{EITHER}", "42e034"),
        (f"profile-level-id=64f00b;{EITHER}", "64f034"),
        (f"profile-level-id=42e03c;{EITHER}", "42e03c"),
        ("profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=0", "42e01f"),
        ("profile-level-id=42e01f;packetization-mode=1", "42e01f"),
        (f"profile-level-id=42e0xx;{EITHER}", "42e0xx"),
    ],
)
def test_a_publisher_may_send_level_5_2_where_levels_may_differ(
    offered: str, answered: str
) -> None:
    offer = read_offer("obs_publish")
    assert USUAL in offer
    answer = answer_publish(offer.replace(USUAL, offered))
    (parameters,) = [one.rtp.codecs[0].parameters for one in answer.media if one.kind == "video"]
    assert parameters["profile-level-id"] == answered
    asked = [part.partition("=")[0] for part in offered.split(";")]
    assert list(parameters) == [*asked, "x-google-start-bitrate"]
