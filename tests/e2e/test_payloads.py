"""What a camera's browser sends is what two viewers' browsers decrypt: same frames, order, times.

An init script taps the encoded frames between codec and SRTP on both sides; the page is untouched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page

from tests.e2e.people import fill_registration, go_live, make_name, wait_for_picture
from tests.product import Product, await_true

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]
ENOUGH = {"video": 90, "audio": 150}
UINT32 = 1 << 32

LARGE_CAMERA = "globalThis.wantsLargeCamera = true;"
# H.264 is hashed by NAL unit: a sender may write start codes of three bytes, receivers write four.
TAP = """
const source = `
  const cutNals = (bytes) => {
    const starts = [];
    for (let i = 0; i + 2 < bytes.length; i++)
      if (bytes[i] === 0 && bytes[i + 1] === 0 && bytes[i + 2] === 1) starts.push(i);
    return starts.map((start, number) => {
      let end = number + 1 < starts.length ? starts[number + 1] : bytes.length;
      while (end > start + 3 && bytes[end - 1] === 0) end--;
      return [0, 0, 1, ...bytes.subarray(start + 3, end)];
    });
  };
  onrtctransform = ({transformer}) => {
    const note = async (frame, controller) => {
      const {mimeType, rtpTimestamp} = frame.getMetadata();
      let bytes = new Uint8Array(frame.data.slice(0));
      controller.enqueue(frame);
      if (mimeType.toLowerCase() === 'video/h264') bytes = Uint8Array.from(cutNals(bytes).flat());
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
      const hash = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      const {kind} = transformer.options;
      postMessage({kind, mimeType, hash, timestamp: rtpTimestamp, size: bytes.length});
    };
    transformer.readable.pipeThrough(new TransformStream({transform: note}))
      .pipeTo(transformer.writable);
  };
`;
window.tapped = {video: [], audio: []};
const worker = new Worker(URL.createObjectURL(new Blob([source])));
worker.onmessage = ({data}) => window.tapped[data.kind].push(data);
const add = RTCPeerConnection.prototype.addTransceiver;
RTCPeerConnection.prototype.addTransceiver = function (what, options) {
  const transceiver = add.call(this, what, options);
  const kind = typeof what === 'string' ? what : what.kind;
  const end = options.direction === 'sendonly' ? transceiver.sender : transceiver.receiver;
  end.transform = new RTCRtpScriptTransform(worker, {kind});
  return transceiver;
};
"""


@dataclass(frozen=True)
class Tapped:
    """The frames of one kind that passed on one side, in order."""

    mime_type: str
    hashes: list[str]
    timestamps: list[int]
    sizes: list[int]

    def after(self, first: int, count: int) -> list[tuple[str, int]]:
        """Return hashes with the time since the first one, in RTP ticks."""
        stamps = self.timestamps[first : first + count]
        since = [(stamp - stamps[0]) % UINT32 for stamp in stamps]
        return list(zip(self.hashes[first : first + count], since, strict=True))


def read_tap(page: Page, kind: str) -> Tapped:
    """Return the frames that passed; packets that a sender only pads with to probe are none."""
    tapped = page.evaluate("(kind) => window.tapped[kind]", kind)
    frames = [frame for frame in tapped if frame["size"]]
    print(f"{kind}: {len(frames)} frames, {len(tapped) - len(frames)} empty")
    return Tapped(
        frames[0]["mimeType"],
        *([frame[name] for frame in frames] for name in ("hash", "timestamp", "size")),
    )


def count_frames(page: Page, kind: str) -> int:
    return int(page.evaluate("(kind) => window.tapped[kind].length", kind))


def find_run(sent: Tapped, seen: Tapped) -> int:
    """Return where in what was sent the viewer's frames stand, all of them, side by side."""
    wanted = seen.after(0, len(seen.hashes))
    for first, digest in enumerate(sent.hashes):
        if digest == seen.hashes[0] and sent.after(first, len(wanted)) == wanted:
            return first
    known = [sent.hashes.index(h) if h in sent.hashes else None for h in seen.hashes]
    strange = [
        (place, seen.timestamps[place], seen.sizes[place])
        for place, number in enumerate(known)
        if number is None
    ]
    raise AssertionError(
        f"not sent so, in this order, at these distances: {known}; never sent (place, time, bytes):"
        f" {strange}"
    )


def test_two_viewers_decrypt_the_frames_that_the_camera_sent(open_page: OpenPage, product: Product):
    streamer = open_page("/register", init_script=LARGE_CAMERA + TAP)
    fill_registration(streamer)
    address = go_live(streamer, product, f"Payloads {make_name()}")
    viewers = [open_page(address, init_script=TAP) for _ in range(2)]
    for viewer in viewers:
        wait_for_picture(viewer)
    for kind, enough in ENOUGH.items():
        for viewer in viewers:
            await_true(
                lambda page=viewer, kind=kind, enough=enough: count_frames(page, kind) >= enough,
                f"{enough} {kind} frames arrive",
            )
    for kind, enough in ENOUGH.items():
        seen = [read_tap(viewer, kind) for viewer in viewers]
        sent = read_tap(streamer, kind)
        starts = [find_run(sent, tapped) for tapped in seen]
        print(f"{sent.mime_type}: {[len(t.hashes) for t in seen]} frames from {starts} on")
        assert all(len(tapped.hashes) >= enough for tapped in seen)
        assert {tapped.mime_type for tapped in seen} == {sent.mime_type}
    assert len(set(read_tap(viewers[0], "video").hashes)) >= ENOUGH["video"]
