"""A live that FFmpeg sends in a loop, as encoders that connect again do; its edge is killed."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass

import imageio_ffmpeg
from playwright.sync_api import Page, expect

from tests.documented import read_command
from tests.e2e.failover import LONGEST_GAP_MS, NOTE_PICTURES, PICTURES_MIN, SHOWN_SINCE, OpenPage
from tests.e2e.people import make_name, prepare_encoder, wait_for_picture
from tests.e2e.stored_lives import Stored, ask_of_live, read_stored
from tests.product import Product

RETRY_S = 1.0
"""What docs/live.md tells people to wait; OBS waits as long at least."""
FILM_S = 600
PLACES = {"RTMP": "rtmp://localhost:1935/live", "WHIP": "http://localhost:8000/whip"}
FIRST_AFTER = "(since) => window.shownAtMs.find((at) => at > since)"


@dataclass(frozen=True)
class Comeback:
    """How one death went, in ms."""

    still_ms: float
    """The viewer's longest time without a picture."""
    back_ms: float
    """From the encoder's start, of the one that came through, to the viewer's next picture."""
    attempts: int
    """How often the encoder was started again."""


class EncoderLoop:
    """Starts FFmpeg again a second after it ended, until `stop`."""

    def __init__(self, words: list[str]) -> None:
        self.started_s: list[float] = []
        self._words = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", *words]
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """End FFmpeg and start it no more."""
        self._stopping.set()
        if self._process is not None:
            self._process.kill()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.started_s.append(time.time())
            self._process = subprocess.Popen(self._words)
            self._process.wait()
            self._stopping.wait(RETRY_S)


class EncoderLive:
    """An encoder that sends by `way` ("RTMP", "WHIP") and a viewer in Chromium."""

    def __init__(self, product: Product, open_page: OpenPage, way: str) -> None:
        self._product = product
        self.streamer = open_page("/")
        server, key, self.address = prepare_encoder(
            self.streamer, product, f"By {way} again {make_name()}", way
        )
        _program, *words = read_command(way, {PLACES[way]: server}, key, seconds=FILM_S)
        self.encoder = EncoderLoop(words)
        try:
            status = self.streamer.get_by_test_id("live-status")
            expect(status).to_have_attribute("data-status", "live")
            self.viewer: Page = open_page(self.address)
            wait_for_picture(self.viewer)
            self.viewer.get_by_test_id("live-video").evaluate(NOTE_PICTURES)
            self.viewer.wait_for_function(SHOWN_SINCE, arg=[0, PICTURES_MIN])
        except BaseException:
            self.encoder.stop()
            raise

    def kill_origin(self) -> Comeback:
        """Kill the edge that it comes in at; return once the viewer has pictures again."""
        part = f"edge-{self.find_origin()}"
        starts = len(self.encoder.started_s)
        self.viewer.evaluate("window.shownAtMs = window.shownAtMs.slice(-1)")
        killed = self._product.kill(part)
        end_s = time.monotonic() + 60
        while len(self.encoder.started_s) == starts:
            assert time.monotonic() < end_s, "the encoder noticed nothing"
            self.viewer.wait_for_timeout(50)
        since_ms = self.encoder.started_s[starts] * 1000
        self.viewer.wait_for_function(SHOWN_SINCE, arg=[since_ms, PICTURES_MIN])
        began_ms = self.encoder.started_s[-1] * 1000
        first_ms = float(self.viewer.evaluate(FIRST_AFTER, began_ms))
        still_ms = float(self.viewer.evaluate(LONGEST_GAP_MS))
        attempts = len(self.encoder.started_s) - starts
        self._product.await_new(part, killed)
        return Comeback(still_ms, first_ms - began_ms, attempts)

    def find_origin(self) -> int:
        """Return the slot of the edge that the live comes in at."""
        statement = "SELECT (origin ->> 'slot')::int AS slot FROM lives WHERE id = $1::uuid"
        (row,) = ask_of_live(self._product, self.address, statement)
        return int(row["slot"])

    def read_stored(self) -> Stored:
        """Return what is stored of the live."""
        return read_stored(self._product, self.address)

    def end(self) -> None:
        """Stop the encoder and end the live."""
        self.encoder.stop()
        self.streamer.get_by_test_id("end-live").click()
        self.streamer.get_by_role("button", name="End broadcast").click()
        status = self.streamer.get_by_test_id("live-status")
        expect(status).to_have_attribute("data-status", "ended")

    def close_pages(self) -> None:
        """Close both browser contexts, when others follow in the same browser."""
        for page in (self.streamer, self.viewer):
            page.context.close()
