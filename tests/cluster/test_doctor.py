"""Checks of the machine say what was found and, when it is not well, what to do."""

from pathlib import Path

import pytest

from cluster.doctor import (
    Verdict,
    check_clock,
    check_disk,
    check_encoders,
    check_faces,
    check_media_loop,
    check_open_files,
    check_program,
    check_public_url,
    check_route,
    check_shared_memory,
)
from kit.setting_sections import EdgeSettings, HttpSettings
from kit.settings import Settings

pytestmark = pytest.mark.unit


def with_url(url: str, *ips: str, proxies: tuple[str, ...] = ()) -> Settings:
    http = HttpSettings(public_url=url, trusted_proxies=proxies)
    return Settings(http=http, edge=EdgeSettings(public_ips=ips))


def test_media_that_leaves_by_python_is_noted():
    assert check_media_loop(is_compiled=True).verdict is Verdict.GOOD
    found = check_media_loop(is_compiled=False)
    assert (found.verdict, "run make again" in found.cure) == (Verdict.NOTE, True)


def test_a_missing_face_detector_is_noted():
    assert check_faces(is_there=True).verdict is Verdict.GOOD
    found = check_faces(is_there=False)
    assert (found.verdict, "run make again" in found.cure) == (Verdict.NOTE, True)


def test_localhost_needs_nothing():
    found = check_public_url(Settings())
    assert (found.verdict, found.cure) == (Verdict.GOOD, "")


def test_a_public_name_without_tls_is_noted():
    found = check_public_url(with_url("http://flow.example"))
    assert found.verdict is Verdict.NOTE
    assert "TLS" in found.cure


def test_a_public_name_without_an_address_for_webrtc_is_noted():
    found = check_public_url(with_url("https://flow.example"))
    assert "SOCIALFLOW_EDGE_PUBLIC_IPS" in found.cure


def test_a_public_name_behind_a_proxy_nobody_trusts_is_noted():
    found = check_public_url(with_url("https://flow.example", "203.0.113.5"))
    assert "SOCIALFLOW_HTTP_TRUSTED_PROXIES" in found.cure
    trusting = with_url("https://flow.example", "203.0.113.5", proxies=("127.0.0.1/32",))
    assert check_public_url(trusting).cure == ""


def test_a_machine_without_a_default_route_is_told_what_browsers_will_miss():
    assert check_route(Settings(), None).verdict is Verdict.NOTE
    assert "192.0.2.7" in check_route(Settings(), "192.0.2.7").found
    assert check_route(with_url("x", "203.0.113.5"), None).verdict is Verdict.GOOD


@pytest.mark.parametrize(
    ("error_s", "verdict"), [(0.01, Verdict.GOOD), (0.3, Verdict.NOTE), (None, Verdict.NOTE)]
)
def test_the_clock_is_noted_beyond_200_ms(error_s: float | None, verdict: Verdict):
    assert check_clock(lambda: error_s).verdict is verdict


def test_what_only_tests_need_is_never_bad():
    found = check_program("Chromium", ("no-such-browser",), "apt-get install chromium")
    assert (found.verdict, found.cure) == (Verdict.NOTE, "apt-get install chromium")
    assert check_program("sh", ("sh",), "").verdict is Verdict.GOOD


def test_this_machine_can_be_looked_at(tmp_path: Path):
    for found in (check_disk(tmp_path / "not" / "yet"), check_open_files(), check_shared_memory()):
        assert found.verdict in {Verdict.GOOD, Verdict.NOTE}
        assert bool(found.cure) == (found.verdict is Verdict.NOTE)


def test_a_codec_of_the_settings_without_its_encoder_is_noted():
    assert check_encoders(("vp9",), {"av1": "libsvtav1"}).verdict is Verdict.GOOD
    found = check_encoders(("av1", "vp9"), {"av1": "libsvtav1"})
    assert (found.verdict, found.found) == (Verdict.NOTE, "no encoder for av1 (libsvtav1)")
