"""The video player on its page, in Chromium: everything a viewer can press, and what it does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, Route, expect

from tests.e2e.conftest import make_person
from tests.e2e.elsewhere import serve_elsewhere
from tests.e2e.people import fill_registration, log_in, make_name
from tests.media.vod.clips import run_ffmpeg
from tests.product import Product, await_true

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenPage = Callable[..., Page]

LENGTH_S = 25
PROCESSING_S = 180.0
DESCRIPTION = "0:00 Leaving\n0:10 The crane\n0:20 Home again"
WORDS = "WEBVTT\n\n00:00.000 --> 00:25.000\nAll that is said\n"
READ = """v => ({
  at_s: v.currentTime, paused: v.paused, ended: v.ended, muted: v.muted, volume: v.volume,
  speed: v.playbackRate, height: v.videoHeight, error: v.error && v.error.message,
  read: [...v.textTracks].filter((track) => track.mode === 'showing')
    .flatMap((track) => [...track.activeCues ?? []]).map((cue) => cue.text),
})"""


PLAYED_BEFORE = """(v, atS) => [...Array(v.played.length).keys()]
  .map((n) => Math.min(v.played.end(n), atS) - v.played.start(n))
  .reduce((sum, each) => sum + Math.max(0, each), 0)"""
PASSWORD = "correct horse 7"
GRANT = re.compile(r"/t/([^/]+)/")
NO_MEDIA_SOURCE = "delete globalThis.MediaSource; delete globalThis.WebKitMediaSource;"
"""Such a browser plays HLS by itself, as older iPhones do; so does Chromium then."""


@dataclass(frozen=True)
class Watched:
    """A video that everybody may watch, and one that only its author may."""

    path: str
    title: str
    author: str
    private_path: str


@pytest.fixture(scope="module")
def watched(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Somebody's video of two rungs with sound, chapters and subtitles, and two others."""
    folder = tmp_path_factory.mktemp("watched")
    with httpx.Client(base_url=product.url, timeout=60) as client:
        name = f"u_{make_name()}"
        known = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
        answer = client.post("/v1/auth/register", json=known)
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        title = f"The harbour {make_name()}"
        video_id = send(client, product, make_film(folder / "a.mp4", LENGTH_S), title)
        other_id = send(client, product, make_film(folder / "b.mp4", 2), f"Other {make_name()}")
        private = f"Mine {make_name()}"
        private_id = send(client, product, make_film(folder / "c.mp4", 12), private, "private")
        words = {"label": "English", "text": WORDS}
        changes = (
            client.put(f"/v1/videos/{video_id}/subtitles/en", json=words),
            client.put(f"/v1/videos/{private_id}/subtitles/en", json=words),
            client.patch(f"/v1/videos/{video_id}", json={"description": DESCRIPTION}),
        )
        assert all(answer.is_success for answer in changes)
        for each in (video_id, other_id, private_id):
            await_true(lambda: is_ready(client, each), "it is encoded", timeout_s=PROCESSING_S)  # noqa: B023
    return Watched(f"/watch/{video_id}", title, name, f"/watch/{private_id}")


def make_film(path: Path, length_s: int) -> Path:
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=s=480x320:r=10:d={length_s}"),
        *("-f", "lavfi", "-i", f"sine=frequency=300:d={length_s}"),
        *("-c:v", "mpeg4", "-g", "10", "-c:a", "aac", path),
    )
    return path


def send(
    client: httpx.Client, product: Product, film: Path, title: str, visibility: str = "public"
) -> str:
    """Send a film as a form; return its video's id."""
    with film.open("rb") as file:
        answer = client.post(
            f"{product.edge_url}/uploads/form",
            data={"title": title, "visibility": visibility},
            files={"file": file},
        )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def is_ready(client: httpx.Client, video_id: str) -> bool:
    video = client.get(f"/v1/videos/{video_id}").json()
    assert video["status"] != "failed", video
    return bool(video["status"] == "ready")


class Player:
    """The player of an open watch page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.video: Locator = page.get_by_test_id("player-video")
        expect(self.video).to_be_visible()

    def read(self) -> dict[str, Any]:
        seen: dict[str, Any] = self.video.evaluate(READ)
        assert seen["error"] is None
        return seen

    def wait(self, check: Callable[[dict[str, Any]], bool], what: str) -> None:
        await_true(lambda: check(self.read()), what)

    def play(self, from_s: float = 0.0) -> None:
        """Play without sound, until it does."""
        # A source that is attached later ends what was asked before.
        self.wait(lambda seen: seen["height"] > 0, "it is loaded")
        self.video.evaluate("(v, at) => { v.muted = true; v.currentTime = at; v.play(); }", from_s)
        self.wait(lambda seen: seen["at_s"] > from_s + 0.3, "it plays")

    def rest(self, at_s: float) -> None:
        """Stop at a moment."""
        self.video.evaluate("(v, at) => { v.pause(); v.currentTime = at; }", at_s)
        self.wait(lambda seen: seen["at_s"] == pytest.approx(at_s, abs=0.1), "it is there")

    def press(self, key: str) -> None:
        self.video.focus()
        self.page.keyboard.press(key)


@pytest.fixture(scope="module")
def watching(chromium: Browser, product: Product, watched: Watched) -> Iterator[Page]:
    """Open the video's page once, as somebody who has no account."""
    context = make_person(chromium, product)
    page = context.new_page()
    page.goto(product.url + watched.path)
    yield page
    context.close()


@pytest.fixture
def player(watching: Page) -> Player:
    """The player, which every test leaves as it found it; it plays from its start."""
    watching.mouse.move(0, 0)
    player = Player(watching)
    player.play()
    return player


def test_a_quality_that_is_chosen_is_shown(player: Player):
    menu = player.page.get_by_label("Quality")
    for height in (240, 320):
        menu.select_option(label=f"{height}p")
        player.wait(lambda seen: seen["height"] == height, f"it is {height} lines high")  # noqa: B023
    menu.select_option(value="-1")
    expect(menu.locator("option").first).to_have_text(re.compile(r"Auto \(\d+p\)"))


def test_a_speed_that_is_chosen_is_played(player: Player):
    player.page.get_by_test_id("speed").select_option(value="2")
    assert player.read()["speed"] == 2
    player.press("<")
    assert player.read()["speed"] == 1.75
    menu = player.page.get_by_test_id("speed")
    expect(menu).to_have_value("1.75")
    menu.select_option(value="1")
    assert player.read()["speed"] == 1


def test_captions_are_off_until_a_language_is_chosen(player: Player):
    assert player.read()["read"] == []
    menu = player.page.get_by_test_id("captions")
    menu.select_option(label="English")
    player.wait(lambda seen: seen["read"] == ["All that is said"], "it can be read along")
    menu.select_option(label="Off")
    player.wait(lambda seen: seen["read"] == [], "nothing is shown any more")


def test_keys_move_through_the_video(player: Player):
    player.rest(12.0)
    moves = [("ArrowRight", 17), ("ArrowLeft", 12), ("l", 22), ("j", 12), ("Home", 0)]
    for key, at_s in moves:
        player.press(key)
        assert player.read()["at_s"] == pytest.approx(at_s, abs=0.1), key


def test_keys_stop_it_and_change_its_speed_and_sound(player: Player):
    for key, speed in ((">", 1.25), ("<", 1.0)):
        player.press(key)
        assert player.read()["speed"] == speed, key
    player.press("k")
    player.wait(lambda seen: seen["paused"], "it stops")
    player.press(" ")
    player.wait(lambda seen: not seen["paused"], "it plays on")
    player.press("m")
    assert not player.read()["muted"]
    player.press("ArrowDown")
    assert player.read()["volume"] == pytest.approx(0.9)
    player.press("ArrowUp")
    assert player.read()["volume"] == pytest.approx(1.0)


def test_theatre_makes_the_picture_wider_and_a_key_undoes_it(player: Player):
    def measure() -> float:
        box = player.video.bounding_box()
        assert box is not None
        return box["width"]

    before = measure()
    player.page.get_by_test_id("theatre").click()
    await_true(lambda: measure() > before + 50, "it is wider")
    player.press("t")
    await_true(lambda: measure() == before, "it is as it was")


def test_a_small_picture_and_the_chapter_are_shown_above_the_line(player: Player):
    player.rest(0.0)
    line = player.page.get_by_label("Position")
    box = line.bounding_box()
    assert box is not None
    player.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    glimpse = player.page.get_by_test_id("glimpse")
    expect(glimpse).to_contain_text("The crane")
    picture = glimpse.locator(".glimpse-picture")
    sheet = picture.evaluate('e => /url\\("(.*)"\\)/.exec(e.style.backgroundImage)[1]')
    size = picture.evaluate(
        "(e, sheet) => new Promise((found) => { const it = new Image();"
        " it.onload = () => found([it.naturalWidth, it.naturalHeight]); it.src = sheet; })",
        sheet,
    )
    assert min(size) > 0


def test_a_chapter_leads_to_its_beginning(player: Player):
    chapters = player.page.get_by_test_id("chapters")
    chapters.locator("summary").click()
    expect(chapters.get_by_role("button")).to_have_count(3)
    chapters.get_by_role("button", name="Home again").click()
    player.wait(lambda seen: seen["at_s"] > 20, "the chapter plays")
    expect(player.page.locator(".player-chapter")).to_have_text("Home again")


def test_at_the_end_another_video_is_offered_and_playing_again(player: Player):
    player.press("End")
    screen = player.page.get_by_test_id("end-screen")
    expect(screen).to_be_visible()
    assert player.read()["ended"]
    expect(screen.get_by_role("link").first).to_be_visible()
    screen.get_by_role("button", name="Play again").click()
    player.wait(lambda seen: 0 < seen["at_s"] < 10, "it plays from its start")
    expect(screen).to_have_count(0)


class EarlyPage:
    """A page that hears of the video as in work, without its smallest quality, until it is made."""

    def __init__(self, watching: Page, product: Product, watched: Watched) -> None:
        self.page = watching.context.new_page()
        self._is_made = False
        video = re.compile(f"/v1/videos/{watched.path.rpartition('/')[2]}$")
        self.page.route(video, self._answer_about)
        self.page.route("**/master.m3u8", self._answer_list)
        self.page.goto(product.url + watched.path)

    def finish(self) -> None:
        """Let the page hear, as soon as it asks, that all of the video is made; wait until then."""
        expect(self.page.get_by_test_id("more-to-come")).to_be_visible()
        self._is_made = True
        expect(self.page.get_by_test_id("more-to-come")).to_have_count(0)

    def close(self) -> None:
        self.page.unroute_all(behavior="ignoreErrors")
        self.page.close()

    def _answer_about(self, route: Route) -> None:
        answer = route.fetch()
        status = {} if self._is_made else {"status": "processing"}
        route.fulfill(response=answer, json=answer.json() | status)

    def _answer_list(self, route: Route) -> None:
        answer = route.fetch()
        text = answer.text()
        shorter = re.sub(r"#EXT-X-STREAM-INF:[^\n]*RESOLUTION=\d+x240[^\n]*\n[^\n]+\n", "", text)
        assert shorter != text
        route.fulfill(response=answer, body=text if self._is_made else shorter)


@pytest.fixture
def early(watching: Page, product: Product, watched: Watched) -> Iterator[EarlyPage]:
    """The video's page while more of its qualities are to come."""
    page = EarlyPage(watching, product, watched)
    yield page
    page.close()


def test_what_was_chosen_is_kept_when_more_qualities_come(early: EarlyPage):
    page, player = early.page, Player(early.page)
    player.play()
    quality = page.get_by_label("Quality")
    expect(quality.locator("option")).to_have_count(2)
    quality.select_option(label="320p")
    page.get_by_test_id("speed").select_option(value="0.5")
    page.get_by_test_id("captions").select_option(label="English")
    early.finish()
    expect(quality.locator("option")).to_have_count(3)
    expect(quality.locator("option:checked")).to_have_text("320p")
    expect(page.get_by_test_id("captions").locator("option:checked")).to_have_text("English")
    player.wait(lambda seen: seen["height"] == 320, "it is as large as before")
    player.wait(lambda seen: seen["read"] == ["All that is said"], "it is still read along")
    seen = player.read()
    assert (seen["speed"], seen["paused"]) == (0.5, False)


def test_the_end_is_reached_at_once_and_stays_when_more_qualities_come(early: EarlyPage):
    page, player = early.page, Player(early.page)
    player.play()
    player.press("End")
    player.wait(lambda seen: seen["ended"], "it ended")
    early.finish()
    assert player.read()["ended"]
    expect(page.get_by_test_id("end-screen")).to_be_visible()


def share(player: Player, at_s: float, what: str) -> str:
    """Share the video from a moment by one of the dialog's buttons; return what was copied."""
    page = player.page
    player.rest(at_s)
    page.get_by_test_id("share").click()
    dialog = page.get_by_role("dialog", name="Share")
    dialog.get_by_label(re.compile("^Start at 0:03$")).check()
    line = dialog.get_by_test_id("share-link")
    assert line.evaluate("i => i.scrollLeft + i.clientWidth >= i.scrollWidth - 1"), "its end shows"
    with page.expect_response(re.compile("/share$")) as counted:
        dialog.get_by_role("button", name=what).click()
    assert counted.value.status == 204
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    return str(page.evaluate("navigator.clipboard.readText()"))


def check_begins(place: Page | FrameLocator, at_s: float) -> None:
    """Press play, as somebody does who was sent there: it begins at that moment, not before."""
    place.locator(".player-middle").get_by_role("button", name="Play").click()
    video = place.get_by_test_id("player-video")
    await_true(lambda: video.evaluate("v => v.currentTime") > at_s + 0.3, "it plays from there")
    # Pressed while the first segment is appended, it may blink before hls.js goes to the place.
    assert video.evaluate(PLAYED_BEFORE, at_s - 0.1) < 0.1
    assert video.evaluate("v => v.videoWidth") > 0


def test_what_is_shared_from_a_moment_begins_there_as_a_link_and_on_another_site(
    player: Player, open_page: OpenPage, product: Product, watched: Watched, tmp_path: Path
):
    player.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=product.url)
    link = share(player, 3.0, "Share link")
    assert link == f"{product.url}{watched.path}?t=3"
    check_begins(open_page(link.removeprefix(product.url)), 3.0)
    (tmp_path / "shown.html").write_text(share(player, 3.4, "Copy code"))
    with serve_elsewhere(tmp_path) as address:
        page = open_page("/about")
        page.goto(f"{address}/shown.html")
        check_begins(page.frame_locator("iframe"), 3.0)
        frame = page.frame_locator("iframe")
        expect(frame.get_by_role("link", name=watched.title)).to_be_visible()
        video = frame.get_by_test_id("player-video")
        video.evaluate("v => { v.pause(); v.currentTime = 4; }")
        frame.get_by_test_id("from-start").click()
        await_true(lambda: video.evaluate("v => v.currentTime") == 0, "it is at its start")
        page.close()


def test_the_picture_can_leave_the_page_and_come_back(player: Player):
    button = player.page.get_by_role("button", name="Picture in picture")
    is_out = "() => document.pictureInPictureElement !== null"
    button.click()
    await_true(lambda: bool(player.page.evaluate(is_out)), "it is in a window of its own")
    player.press("i")
    await_true(lambda: not player.page.evaluate(is_out), "it is back")


def test_a_key_fills_the_screen_and_gives_it_back(player: Player):
    fills = "v => document.fullscreenElement === v.closest('.player')"
    player.press("f")
    await_true(lambda: player.video.evaluate(fills) is True, "it fills the screen")
    player.press("f")
    await_true(lambda: player.video.evaluate(fills) is False, "it is back")


def test_a_viewer_goes_on_where_they_stopped(open_page: OpenPage, watched: Watched):
    page = open_page("/register")
    fill_registration(page)
    page.goto(page.url.partition("/register")[0].rstrip("/") + watched.path)
    player = Player(page)
    player.play(14.0)
    player.wait(lambda seen: seen["at_s"] > 16, "it plays on")
    with page.expect_request(
        lambda request: "/history" in request.url or "position" in request.url
    ):
        player.press("k")
    page.reload()
    again = Player(page)
    again.wait(lambda seen: seen["at_s"] >= 15.9, "it begins where it was left")
    page.get_by_test_id("from-start").click()
    again.wait(lambda seen: seen["at_s"] < 1, "it is at its start")


class GrantThatEnds:
    """The grant a page first has: it opens the first segment, then edges say it is over."""

    def __init__(self, page: Page) -> None:
        self.refused: list[str] = []
        self.used: set[str] = set()
        self._first: tuple[str, str] | None = None
        page.route("**/*.m4s", self._answer)

    def _answer(self, route: Route) -> None:
        found = GRANT.search(route.request.url)
        assert found, "a private video is played under a grant"
        grant, segment = found[1], route.request.url.rpartition("/")[2]
        self._first = self._first or (grant, segment)
        if grant == self._first[0] and segment != self._first[1]:
            self.refused.append(grant)
            cors = {"Access-Control-Allow-Origin": "*"}
            route.fulfill(status=403, body='{"error": "grant_expired"}', headers=cors)
        else:
            self.used.add(grant)
            route.continue_()


def test_a_grant_that_ends_meanwhile_is_renewed_without_a_word(
    open_page: OpenPage, product: Product, watched: Watched
):
    page = open_page("/login")
    log_in(page, product, watched.author, PASSWORD)
    grants = GrantThatEnds(page)
    page.goto(product.url + watched.private_path)
    player = Player(page)
    player.play()
    player.video.evaluate("v => { v.playbackRate = 3; }")
    player.wait(lambda seen: seen["ended"], "it plays to its end")
    assert grants.refused
    assert len(grants.used) > 1
    ranges = "v => [v.played.length, v.played.start(0), v.played.end(0)]"
    assert player.video.evaluate(ranges) == [1, 0, pytest.approx(12, abs=0.3)]


class EndingGrants:
    """The grants of a page, which edges refuse once the test says that they are over.

    The first is over with the request for a segment of a number, where one is given.
    """

    SEGMENT = re.compile(r"/(\d+)\.m4s$")

    def __init__(self, page: Page, *, ends_at: int | None = None) -> None:
        self.refused: list[str] = []
        self._ends_at = ends_at
        self._seen: set[str] = set()
        self._over: set[str] = set()
        page.route(GRANT, self._answer)

    def end(self) -> None:
        """Let all grants end that the page has used until now."""
        self.refused.clear()
        self._over |= self._seen

    def _answer(self, route: Route) -> None:
        url = route.request.url
        found, segment = GRANT.search(url), self.SEGMENT.search(url)
        assert found
        self._seen.add(found[1])
        if segment and self._ends_at is not None and not self._over:
            self._over = {found[1]} if int(segment[1]) >= self._ends_at else set()
        if found[1] in self._over:
            self.refused.append(url)
            cors = {"Access-Control-Allow-Origin": "*"}
            route.fulfill(status=403, body='{"error": "grant_expired"}', headers=cors)
        else:
            route.continue_()


def test_a_browser_without_media_source_plays_on_under_a_fresh_grant(
    open_page: OpenPage, product: Product, watched: Watched
):
    page = open_page("/login", NO_MEDIA_SOURCE)
    log_in(page, product, watched.author, PASSWORD)
    grants = EndingGrants(page, ends_at=1)
    page.goto(product.url + watched.private_path)
    video = page.get_by_test_id("player-video")
    video.evaluate("v => { v.muted = true; v.play(); }")
    await_true(lambda: video.evaluate("v => v.ended") is True, "it plays to its end")
    assert [url for url in grants.refused if EndingGrants.SEGMENT.search(url)]
    expect(page.get_by_test_id("error-state")).to_have_count(0)
    expect(page.get_by_label("Quality")).to_have_count(0)


def test_pictures_captions_and_the_file_of_a_video_have_a_fresh_grant_when_they_are_wanted(
    open_page: OpenPage, product: Product, watched: Watched
):
    page = open_page("/login")
    log_in(page, product, watched.author, PASSWORD)
    grants = EndingGrants(page)
    page.goto(product.url + watched.private_path)
    player = Player(page)
    player.play()
    player.rest(3.0)
    file = page.get_by_test_id("download")
    known = file.get_attribute("href")
    grants.end()
    box = page.get_by_label("Position").bounding_box()
    assert box is not None
    with page.expect_response(lambda answer: "/storyboard/" in answer.url and answer.ok) as picture:
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    sheet = page.get_by_test_id("glimpse").locator(".glimpse-picture")
    expect(sheet).to_have_attribute("style", re.compile(re.escape(picture.value.url)))
    assert [url for url in grants.refused if "/storyboard/" in url]
    grants.end()
    page.get_by_test_id("captions").select_option(label="English")
    player.wait(lambda seen: seen["read"] == ["All that is said"], "it can be read along")
    assert [url for url in grants.refused if "subtitles" in url]
    grants.end()
    with page.expect_download() as saved:
        file.click()
    assert saved.value.url != known
    assert Path(saved.value.path()).read_bytes()[4:8] == b"ftyp"
    assert grants.refused == []
