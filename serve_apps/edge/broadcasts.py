"""Lives that come in at this edge, as HLS: listeners of the forwarding plane and their windows.

`media_sessions.py` says who publishes, `live_hls.py` serves what windows keep, `segment_writer.py`
stores it. A publisher's first frames wait until the room granted it a generation.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from actors.live_room.health import IngestReport
from kit.logs import get_log
from kit.metrics import LIVE_PACKETS_LOST
from media.live.continuity import Continuity
from media.live.fragments import VIDEO
from media.live.packager import Packager, PackagerTerms
from media.live.packets import OPUS_FORMAT, GetWait, Packet
from media.live.playlists import LivePlaylists
from media.live.samples import AudioFormat
from media.live.slates import SlateBook
from media.live.source import RtpSource
from media.live.stored import build_window, decide_gap, ends_with, list_stored
from media.live.window import LiveWindow, PublisherSink
from media.sfu.sdp import OfferedCodec
from serve_apps.edge.publishers import Publisher, Uncarried
from serve_apps.edge.segment_writer import SegmentWriter, WriterPorts
from serve_apps.edge.slate_show import show_slates
from serve_apps.edge.waiting_samples import WaitingSamples

log = get_log("edge.broadcasts")

FORGET_AFTER_S = 90.0
"""After its publisher left: longer than a room waits for one before it ends the live."""
ENDED_POLL_S = 0.5
CLOSE_TIMEOUT_S = 3.0
HLS_VIDEO = "H264"


class Broadcast:
    """One room at this edge: it listens to the forwarding plane and fills its window."""

    def __init__(
        self,
        room_id: uuid.UUID,
        ports: WriterPorts,
        slates: SlateBook,
        request_keyframe: Callable[[], None],
        get_wait_s: GetWait,
    ) -> None:
        self.room_id = room_id
        self.window: LiveWindow | None = None
        self.playlists: LivePlaylists | None = None
        self._request_keyframe = request_keyframe
        self._get_wait_s = get_wait_s
        self._ports = ports
        self._slates = slates
        self._publisher: Publisher | None = None
        self._uncarried: Uncarried | None = None
        """The present publisher, where HLS is off."""
        self._before: Publisher | None = None
        """Who was packaged last, while nobody came after."""
        self._changed = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    def begin(self, session_id: str, codecs: Mapping[str, str]) -> None:
        """Another publisher's packets follow; `codecs` by kind, in capitals."""
        self.end()
        self._note_successor()
        codec = codecs.get("video")
        if codec != HLS_VIDEO:
            log.info("live.hls_off", room_id=str(self.room_id), codec=codec)
            self._uncarried = Uncarried(session_id, codec, self._get_wait_s)
            return
        waiting = WaitingSamples()
        source = RtpSource(waiting, self._request_keyframe, self._get_wait_s)
        self._start(Publisher(session_id, "audio" in codecs, source, waiting))

    def begin_frames(
        self, session_id: str, frames: WaitingSamples, sound: AudioFormat | None
    ) -> None:
        """Another publisher's frames follow, and wait in `frames`."""
        self.end()
        self._note_successor()
        publisher = Publisher(session_id, sound is not None, None, frames, sound or OPUS_FORMAT)
        publisher.started_at = frames.began_at or self._ports.clock.now()
        self._start(publisher)

    def add_packets(self, kind: str, packets: Sequence[Packet], now_s: float) -> None:
        """Take what the room forwards."""
        if self._uncarried is not None:
            LIVE_PACKETS_LOST.inc(self._uncarried.add_packets(kind, packets, now_s))
            return
        publisher = self._publisher
        if publisher is None or publisher.source is None:
            return
        if publisher.started_at is None:
            publisher.started_at = self._ports.clock.now()
        lost = publisher.source.packets_lost
        publisher.source.add_packets(kind, packets, now_s)
        lost = publisher.source.packets_lost - lost
        LIVE_PACKETS_LOST.inc(lost)
        publisher.waiting.meter.add_packets(lost=lost, received=len(packets))

    def apply_report(self, kind: str, ntp_timestamp: int, timestamp: int) -> None:
        """Take a sender report."""
        if self._publisher is not None and self._publisher.source is not None:
            self._publisher.source.apply_report(kind, ntp_timestamp, timestamp)

    def measure_ingest(self, now_s: float) -> IngestReport | None:
        """Return what its publisher sent since this was last asked; None: there is none."""
        if self._uncarried is not None:
            return self._uncarried.measure(now_s)
        publisher = self._publisher
        if publisher is None:
            return None
        return publisher.waiting.meter.take(publisher.session_id, now_s)

    def end(self) -> None:
        """The publisher is gone: what is open ends here, and soon a slate takes its place."""
        publisher, self._publisher = self._publisher, None
        self._uncarried = None
        if publisher is not None:
            now_s = publisher.gone_s = self._ports.clock.monotonic_s()
            if publisher.source is not None:
                publisher.source.finish(now_s)
            publisher.news.set()
            if publisher.continuity is not None:
                publisher.continuity.note_gone()

    # For whoever serves it

    @property
    def is_on_air(self) -> bool:
        """Whether a publisher is here that is packaged."""
        return self._publisher is not None

    @property
    def has_hls(self) -> bool:
        """False while the publisher sends what HLS does not carry."""
        return self._uncarried is None

    @property
    def is_playable(self) -> bool:
        """Whether players find something here."""
        return self.window is not None and self.window.is_playable

    def is_from(self, session_id: str) -> bool:
        """Say whether this session is the present publisher."""
        present = self._publisher or self._uncarried
        return present is not None and present.session_id == session_id

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be done or shown."""
        is_empty = self._publisher is None and self._uncarried is None
        return is_empty and (self._serving is None or self._serving.done())

    async def wait_change(self) -> None:
        """Return when the window changed."""
        await self._changed.wait()

    async def close(self) -> None:
        """End what is open and store it, as far as that goes within seconds."""
        self.end()
        if self._serving is None:
            return
        self._ports.stopping.set()
        await asyncio.wait([self._serving], timeout=CLOSE_TIMEOUT_S)
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)

    # Within

    def _note_successor(self) -> None:
        """Somebody else publishes: no slate stands in for the one before."""
        before, self._before = self._before, None
        if before is not None:
            before.has_successor = True
            before.news.set()

    def _start(self, publisher: Publisher) -> None:
        self._publisher = self._before = publisher
        work = self._serve(publisher, self._serving)
        self._serving = asyncio.create_task(work, name="broadcast")
        self._serving.add_done_callback(_report_end)

    async def _serve(self, publisher: Publisher, before: asyncio.Task[None] | None) -> None:
        """Store what one publisher sends and the slate after it, until the live's end is known."""
        if before is not None:
            await asyncio.wait([before])  # its last segments come first
        writer = SegmentWriter(self.room_id, self._ports)
        try:
            if not await writer.open(publisher.session_id, lambda: publisher.gone_s is not None):
                return  # the live goes on elsewhere, or ends: nobody here would hear of it
            continuity = await self._begin(publisher, writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._store(publisher, writer))
                showing = group.create_task(show_slates(continuity, self._slates))
                has_ended = await self._await_over(publisher, writer)
                showing.cancel()
                continuity.finish()
                publisher.numbers.put_nowait(None)
            await writer.close()
            if has_ended and self.window is not None:
                self.window.end()
            if not writer.is_fenced:
                await self._await_end(publisher, writer)
        finally:
            if self._publisher in (None, publisher):
                self.window = self.playlists = None
                self._note_change()

    async def _store(self, publisher: Publisher, writer: SegmentWriter) -> None:
        """Store whole segments until there will be no more."""
        while (number := await publisher.numbers.get()) is not None:
            assert self.window is not None, "segments come out of a window"
            await writer.store(self.window, number)

    async def _await_over(self, publisher: Publisher, writer: SegmentWriter) -> bool:
        """Return once nothing more comes under a publisher's name; True: the live ended.

        While it is away a slate stands in, no longer than `FORGET_AFTER_S`.
        """
        clock = self._ports.clock
        while not (self._ports.stopping.is_set() or publisher.has_successor):
            if publisher.gone_s is not None:
                away_s = clock.monotonic_s() - publisher.gone_s
                if writer.is_fenced or away_s > FORGET_AFTER_S:
                    return False
                if await writer.has_ended():
                    return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(publisher.news.wait(), ENDED_POLL_S)
            publisher.news.clear()
        return False

    async def _begin(self, publisher: Publisher, writer: SegmentWriter) -> Continuity:
        """Make the window go on where the live was left, and let the frames in."""
        started_at = publisher.started_at or self._ports.clock.now()
        window = await self._continue_window(writer, started_at)
        last = window.get_last(VIDEO)
        gap = decide_gap(window, self.room_id, writer.origin_gen, started_at)
        if gap is not None:
            list_stored(window, [gap], {})
            await writer.list_gap(gap)
        ended_ms = 0 if last is None else round((last.start_s + last.duration_s) * 1000) + 1
        offset_ms = round((started_at - window.epoch_at).total_seconds() * 1000)
        now_last = window.get_last(VIDEO)
        terms = PackagerTerms(
            first_number=0 if now_last is None else now_last.number + 1,
            offset_ms=max(offset_ms, ended_ms),
            has_sound=publisher.has_sound,
            audio=publisher.sound,
            is_resumed=last is not None,
        )
        numbers = publisher.numbers
        sink = PublisherSink(window, str(writer.origin_gen), numbers.put_nowait)
        packager = Packager(terms, sink, self._request_keyframe)
        now_s = self._ports.clock.monotonic_s
        continuity = publisher.continuity = Continuity(packager, self._request_keyframe, now_s)
        publisher.waiting.use(continuity)
        if publisher.gone_s is not None:
            # It left before it was granted: its end was told when nothing was open yet.
            continuity.note_gone()
        return continuity

    async def _continue_window(self, writer: SegmentWriter, started_at: datetime) -> LiveWindow:
        """Return our own window when nobody else wrote since, else one from the rows."""
        rows = await writer.read_rows()
        if self.window is None or not ends_with(self.window, rows):
            is_new = not any(row.tracks for row in rows)
            self.window = (
                LiveWindow(started_at, self._note_change)
                if is_new
                else build_window(rows, self._note_change)
            )
            self.playlists = LivePlaylists(self.window)
        return self.window

    async def _await_end(self, publisher: Publisher, writer: SegmentWriter) -> None:
        """Keep the window until another publisher comes, the live ends, or nobody comes back."""
        clock = self._ports.clock
        until_s = (publisher.gone_s or 0.0) + FORGET_AFTER_S
        while self._publisher is None and clock.monotonic_s() < until_s:
            if self._ports.stopping.is_set():
                return
            window = self.window
            if window is not None and not window.is_ended and await writer.has_ended():
                window.end()
            if writer.is_fenced:
                return
            await asyncio.sleep(ENDED_POLL_S)

    def _note_change(self) -> None:
        """Wake everybody who waits."""
        self._changed.set()
        self._changed = asyncio.Event()


class PacketSource(Protocol):
    """What broadcasts use of `media.sfu.server.Sfu`."""

    def add_listener(self, room_id: str, listener: Broadcast) -> bool:
        """Tell a listener what the room takes from its publishers."""
        ...

    def remove_listener(self, room_id: str, listener: Broadcast) -> None:
        """Tell a listener nothing more."""
        ...

    def request_keyframe(self, room_id: str) -> None:
        """Want a keyframe from a room's publisher."""
        ...

    def get_repair_wait_s(self, room_id: str, index: int) -> float:
        """Return how long after it was missed a packet of video may still come."""
        ...

    def get_codecs(self, room_id: str) -> Mapping[str, OfferedCodec]:
        """Return what a room's publisher sends, by kind."""
        ...


class Broadcasts:
    """All rooms that come in at this edge."""

    def __init__(self, ports: WriterPorts) -> None:
        self._ports = ports
        self._slates = SlateBook(ports.clock.monotonic_s)
        self._plane: PacketSource | None = None
        self._rooms: dict[uuid.UUID, Broadcast] = {}

    def use(self, plane: PacketSource) -> None:
        """Take the plane that packets come from; called once, before anything else."""
        self._plane = plane

    def begin(self, room_id: str, session_id: str) -> None:
        """A publisher is connected: package what it sends."""
        plane, broadcast = self._get_plane(), self._open(room_id)
        codecs = {kind: codec.name.upper() for kind, codec in plane.get_codecs(room_id).items()}
        broadcast.begin(session_id, codecs)
        plane.add_listener(room_id, broadcast)

    def begin_frames(
        self, room_id: str, session_id: str, frames: WaitingSamples, sound: AudioFormat | None
    ) -> None:
        """A publisher is connected whose frames come whole: package them."""
        self._open(room_id).begin_frames(session_id, frames, sound)

    def end(self, room_id: str, session_id: str) -> None:
        """A publisher is gone; another one may be there already."""
        broadcast = self._rooms.get(uuid.UUID(room_id))
        if broadcast is None or not broadcast.is_from(session_id):
            return
        if self._plane is not None:
            self._plane.remove_listener(room_id, broadcast)
        broadcast.end()

    def _open(self, room_id: str) -> Broadcast:
        """Return the room's broadcast, hearing of no publisher for the moment."""
        plane, key = self._get_plane(), uuid.UUID(room_id)
        for over in [over for over, known in self._rooms.items() if known.is_over]:
            del self._rooms[over]
        broadcast = self._rooms.get(key)
        if broadcast is None:
            ask = functools.partial(plane.request_keyframe, room_id)
            wait = functools.partial(plane.get_repair_wait_s, room_id)
            broadcast = self._rooms[key] = Broadcast(key, self._ports, self._slates, ask, wait)
        plane.remove_listener(room_id, broadcast)
        return broadcast

    def _get_plane(self) -> PacketSource:
        assert self._plane is not None, "use() comes first"
        return self._plane

    def __iter__(self) -> Iterator[Broadcast]:
        return iter(list(self._rooms.values()))

    def find(self, room_id: uuid.UUID) -> Broadcast | None:
        """Return a room that comes in here, or did a moment ago."""
        return self._rooms.get(room_id)

    async def close(self) -> None:
        """End all of them."""
        await asyncio.gather(*(broadcast.close() for broadcast in self._rooms.values()))
        await self._slates.close()


def _report_end(serving: asyncio.Task[None]) -> None:
    """Say so when a publisher is packaged no longer by any fault; nobody awaits the task."""
    error = None if serving.cancelled() else serving.exception()
    if error is not None:
        log.error("live.broadcast_failed", exc_info=error)
