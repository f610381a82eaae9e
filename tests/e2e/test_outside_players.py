"""Players that others wrote play a video on a page of another origin, also a protected one.

From its start, after a seek and to its end, without an error and without a gap. Whoever has no
right, to the video or to its keys alone, sees nothing.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from cluster.bootstrap import PLAYERS, player_path
from tests.e2e.elsewhere import ask, register, serve_elsewhere
from tests.product import Product, await_true

HAS_PLAYERS = all(player_path(Path(sys.prefix), package).exists() for package in PLAYERS)
NEEDS_PLAYERS = pytest.mark.skipif(not HAS_PLAYERS, reason="npm brought no players: `make test`")
pytestmark = [pytest.mark.browser, NEEDS_PLAYERS, pytest.mark.timeout(300)]

OpenPage = Callable[[], Page]

SHAKA = """async ([address, keys, wishes]) => {
  const player = new shaka.Player();
  player.addEventListener('error', (event) => faults.push(event.detail.code));
  await player.attach(document.querySelector('video'));
  const retryParameters = {maxAttempts: 1};
  const servers = keys ? {'org.w3.clearkey': keys} : {};
  player.configure({drm: {servers, retryParameters}, manifest: {retryParameters}, ...wishes});
  await player.load(address).catch((error) => faults.push(error.code));
}"""
DASH_JS = """([address, keys]) => {
  const player = dashjs.MediaPlayer().create();
  player.initialize();
  player.updateSettings({streaming: {retryAttempts: {MPD: 0, license: 0}}});
  if (keys) player.setProtectionData({'org.w3.clearkey': {serverURL: keys}});
  player.on('error', (event) => faults.push(event.error.code));
  player.attachView(document.querySelector('video'));
  player.attachSource(address);
}"""
NATIVE = """([address]) => {
  const video = document.querySelector('video');
  video.addEventListener('error', () => faults.push(video.error.code));
  video.src = address;
}"""
LOOK = """() => {
  const video = document.querySelector('video');
  const buffered = [...Array(video.buffered.length).keys()]
    .map((index) => [video.buffered.start(index), video.buffered.end(index)]);
  return {
    at_s: video.currentTime, duration_s: video.duration, ended: video.ended, buffered,
    paused: video.paused,
    state: [video.readyState, video.networkState, video.seeking, document.hidden],
    pictures: video.getVideoPlaybackQuality().totalVideoFrames,
    sound: video.webkitAudioDecodedByteCount, decrypts: video.mediaKeys !== null,
    faults: [...faults, ...(video.error ? [video.error.message] : [])],
  };
}"""
SEEK = "([at_s]) => { document.querySelector('video').currentTime = at_s; }"
KINDS = ("clear", "protected")
FILM_S = 10.0
PROCESSING_S = 180.0
BAD_HTTP_STATUS, LICENSE_REQUEST_FAILED, KEYFORMATS_NOT_SUPPORTED = 1001, 6007, 4026
"""Shaka's (lib/util/error.js)."""
NO_MANIFEST, NO_LICENCE = 25, 114
"""dash.js' (DOWNLOAD_ERROR_ID_MANIFEST_CODE, MEDIA_KEY_MESSAGE_LICENSER_ERROR_CODE)."""


@dataclass(frozen=True)
class Film:
    """A private video: addresses as its owner gets them, and as who has no right would try."""

    hls: str
    dash: str
    keys: str
    plain_dash: str
    plain_keys: str


@pytest.fixture(scope="module")
def films(product: Product, film: Path) -> dict[str, Film]:
    """Upload the same film as it is and protected, each by somebody: nobody may send one twice."""
    owners = {kind: register(product) for kind in KINDS}
    ids = {
        kind: send(product, film, token, protected=kind == "protected")
        for kind, token in owners.items()
    }
    return {
        kind: read_film(await_ready(product, ids[kind], token)) for kind, token in owners.items()
    }


def send(product: Product, film: Path, token: str, *, protected: bool) -> str:
    """Send the film as a form; return its video's id."""
    words = {"title": "Elsewhere", "visibility": "private", "protected": json.dumps(protected)}
    with film.open("rb") as file:
        answer = httpx.post(
            f"{product.edge_url}/uploads/form",
            data=words,
            files={"file": file},
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def await_ready(product: Product, video_id: str, token: str) -> dict[str, Any]:
    """Return the video when all of it is encoded, its addresses with its owner's right."""
    video: dict[str, Any] = {}

    def is_ready() -> bool:
        video.update(ask(product, f"/v1/videos/{video_id}", token=token))
        assert video["status"] != "failed", video["error"]
        return bool(video["status"] == "ready")

    await_true(is_ready, "it is encoded", timeout_s=PROCESSING_S)
    return video


def read_film(video: dict[str, Any]) -> Film:
    playback = video["playback"]
    grant = playback["dash"].partition("/t/")[2].partition("/v/")[0]
    plain = playback["dash"].replace(f"/t/{grant}", "")
    assert grant
    keys = playback["keys"] or ""
    return Film(playback["hls"], playback["dash"], keys, plain, keys.replace(f"/t/{grant}", ""))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the players from an origin that is not the product's."""
    folder = tmp_path_factory.mktemp("players")
    for package in PLAYERS:
        name = package.partition("@")[0]
        shutil.copyfile(player_path(Path(sys.prefix), package), folder / f"{name}.js")
    with serve_elsewhere(folder) as url:
        yield url


@pytest.fixture
def open_elsewhere(chromium: Browser, contexts: list[BrowserContext], elsewhere: str) -> OpenPage:
    """Return a function that opens the other origin's page, with the players on it."""

    def open_fresh() -> Page:
        context = chromium.new_context()
        contexts.append(context)
        page = context.new_page()
        page.goto(elsewhere)
        for package in PLAYERS:
            page.add_script_tag(url=f"/{package.partition('@')[0]}.js")
        page.evaluate("() => { globalThis.faults = []; }")
        return page

    return open_fresh


def play(page: Page, player: str, address: str, keys: str = "") -> None:
    """Play from the start, after two seeks, and to the end; nothing may go wrong or be missing."""
    page.evaluate(player, [address, keys])

    def is_past(at_s: float) -> bool:
        seen = page.evaluate(LOOK)
        assert seen["faults"] == []
        return bool(seen["at_s"] > at_s)

    await_true(lambda: is_past(1.0), "it plays from its start")
    for at_s in (6.0, 3.0, 8.5):
        page.evaluate(SEEK, [at_s])
        await_true(lambda: is_past(at_s + 0.5), f"it plays on from {at_s}")  # noqa: B023
    await_true(lambda: page.evaluate(LOOK)["ended"], "it comes to its end")
    seen = page.evaluate(LOOK)
    assert seen["faults"] == []
    assert seen["duration_s"] == pytest.approx(FILM_S, abs=0.15)
    assert seen["pictures"] > 25
    assert seen["sound"] > 0
    assert seen["decrypts"] is bool(keys)
    if player is not NATIVE:  # it drops what is far away
        ((start_s, end_s),) = seen["buffered"]
        assert (start_s, end_s) == pytest.approx((0, seen["duration_s"]), abs=0.1)


def await_refusal(page: Page, player: str, address: str, keys: str) -> list[int]:
    """Try to play; return what the player said. Nothing was shown."""
    page.evaluate(player, [address, keys])
    await_true(lambda: page.evaluate(LOOK)["faults"] != [], "the player gives up")
    seen = page.evaluate(LOOK)
    assert (seen["pictures"], seen["at_s"]) == (0, 0)
    return list(seen["faults"])


# A clear video's DASH as Shaka plays it is asked of files, in test_players.py.
@pytest.mark.parametrize(
    ("player", "kind"),
    [(SHAKA, "protected"), (DASH_JS, "protected"), (DASH_JS, "clear")],
    ids=["shaka-protected", "dash.js-protected", "dash.js-clear"],
)
def test_a_player_of_dash_plays_from_the_start_and_after_seeks(
    player: str, kind: str, open_elsewhere: OpenPage, films: dict[str, Film]
):
    film = films[kind]
    play(open_elsewhere(), player, film.dash, film.keys)


@pytest.mark.parametrize("player", [SHAKA, NATIVE], ids=["shaka", "chromium"])
def test_a_player_of_hls_plays_from_the_start_and_after_seeks(
    player: str, open_elsewhere: OpenPage, films: dict[str, Film]
):
    play(open_elsewhere(), player, films["clear"].hls)


@pytest.mark.parametrize(
    ("player", "code"), [(SHAKA, BAD_HTTP_STATUS), (DASH_JS, NO_MANIFEST)], ids=["shaka", "dash.js"]
)
def test_who_has_no_right_gets_no_manifest(
    player: str, code: int, open_elsewhere: OpenPage, films: dict[str, Film]
):
    film = films["protected"]
    assert code in await_refusal(open_elsewhere(), player, film.plain_dash, film.plain_keys)


@pytest.mark.parametrize(
    ("player", "code"),
    [(SHAKA, LICENSE_REQUEST_FAILED), (DASH_JS, NO_LICENCE)],
    ids=["shaka", "dash.js"],
)
def test_who_has_the_segments_and_no_right_to_the_keys_sees_nothing(
    player: str, code: int, open_elsewhere: OpenPage, films: dict[str, Film]
):
    film = films["protected"]
    assert code in await_refusal(open_elsewhere(), player, film.dash, film.plain_keys)


def test_shakas_hls_knows_no_clearkey_and_says_so(open_elsewhere: OpenPage, films: dict[str, Film]):
    """It takes the DASH of the same segments; a version that learns it ends this test."""
    film = films["protected"]
    said = await_refusal(open_elsewhere(), SHAKA, film.hls, film.keys)
    assert said == [KEYFORMATS_NOT_SUPPORTED]
