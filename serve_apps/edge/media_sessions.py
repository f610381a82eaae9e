"""WHIP and WHEP sessions on this edge: who holds which, and what their rooms hear of them.

Listens to the forwarding plane. A publisher's room is told when media flows and when it stops;
viewers are counted. A session's id is unguessable and is all that its holder needs to end it.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from actors.live_room.client import RoomClient
from actors.live_room.messages import PublisherUp, Way
from kit.errors import Unavailable
from kit.logs import get_log
from kit.metrics import MEDIA_SESSIONS
from media.live.samples import AudioFormat
from media.sfu.errors import SessionEnded
from media.sfu.layer_access import LayerChoice
from media.sfu.options import SessionAnswer
from media.sfu.sdp import OfferedCodec
from media.sfu.session import LocalPublisher
from media.sfu.trickle import IceRestart
from serve_apps.edge.broadcasts import Broadcasts
from serve_apps.edge.room_mirrors import RoomMirrors
from serve_apps.edge.waiting_samples import WaitingSamples

log = get_log("edge")
LOST_MAX = 1000
"""Publishers that are remembered after they were lost."""


class EdgeDraining(Unavailable):
    """This edge is stopping."""

    code, message = "edge_draining", "This edge is stopping; ask for another one."


class EdgeBreathless(Unavailable):
    """This edge's loop runs late: who is here goes first."""

    code, message = "edge_breathless", "This edge is out of breath; ask for another one."


class PublisherNotes(Protocol):
    """Who else hears of publishers at this edge: what relays them to others."""

    def note_publisher(self, room_id: str, session_id: str) -> None:
        """Media comes in here."""
        ...

    def note_lost(self, room_id: str, reason: str) -> None:
        """It stopped."""
        ...


class ForwardingPlane(Protocol):
    """What this edge uses of `media.sfu.server.Sfu`."""

    def publish(self, room_id: str, offer_sdp: str, *, is_held: bool) -> SessionAnswer:
        """Answer a publisher's offer; one that is held does not begin by itself."""
        ...

    def begin_publisher(self, session_id: str) -> None:
        """Let a publisher that was held begin."""
        ...

    def watch(self, room_id: str, offer_sdp: str) -> SessionAnswer:
        """Answer a viewer's offer."""
        ...

    def publish_local(
        self, room_id: str, codecs: Mapping[str, OfferedCodec], *, is_held: bool
    ) -> LocalPublisher:
        """Admit a publisher of this process; one that is held does not begin by itself."""
        ...

    def feed(self, session: LocalPublisher, rtp: Sequence[bytes], rtcp: bytes) -> None:
        """Forward a local publisher's packets."""
        ...

    def close_session(self, session_id: str) -> bool:
        """End a session."""
        ...

    def patch_session(
        self, session_id: str, if_match: str | None, fragment_sdp: str
    ) -> IceRestart | None:
        """Take candidates, or restart ICE."""
        ...

    def get_layers(self, session_id: str) -> LayerChoice:
        """Return the encodings a viewer may choose from."""
        ...

    def choose_layer(self, session_id: str, rid: str | None) -> LayerChoice:
        """Pin a viewer to an encoding, or unpin it."""
        ...


@dataclass(frozen=True)
class LocalSource:
    """A publisher within this process: where its whole frames wait, who hears of its end, by which
    key it came."""

    frames: WaitingSamples
    sound: AudioFormat | None
    on_ended: Callable[[str], None]
    key_mark: str


@dataclass(frozen=True)
class MediaSession:
    """One session; `login` is whose revocation ends it, `key_mark` names what let it publish."""

    room_id: uuid.UUID
    role: str
    user_id: uuid.UUID | None
    login: uuid.UUID | None
    is_connected: bool = False
    source: LocalSource | None = None
    key_mark: str = ""


class MediaSessions:
    """All sessions of this edge; the listener of its forwarding plane."""

    def __init__(self, origin: dict[str, object], is_breathless: Callable[[], bool]) -> None:
        self._origin = origin
        self._is_breathless = is_breathless
        self._sessions: dict[str, MediaSession] = {}
        self._lost: OrderedDict[str, uuid.UUID] = OrderedDict()
        """Rooms of publishers that were lost here, by session."""
        self._plane: ForwardingPlane | None = None
        self._rooms: RoomMirrors | None = None
        self._client: RoomClient | None = None
        self._broadcasts: Broadcasts | None = None
        self._relays: PublisherNotes | None = None
        self._check: Callable[[str], None] | None = None
        self.is_draining = False

    def use(
        self,
        plane: ForwardingPlane,
        rooms: RoomMirrors,
        client: RoomClient,
        broadcasts: Broadcasts | None = None,
    ) -> None:
        """Take what sessions work on; called once, before anything else."""
        self._plane, self._rooms, self._client = plane, rooms, client
        self._broadcasts = broadcasts

    def use_relays(self, relays: PublisherNotes, address: str) -> None:
        """Tell relays of publishers, and other edges where to have their media from."""
        self._relays = relays
        self._origin["relay"] = address

    def use_checks(self, check: Callable[[str], None]) -> None:
        """Have each publisher looked at: when it is ready to begin, and once it has begun."""
        self._check = check

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._sessions

    def check_room_left(self) -> None:
        """Refuse WebRTC sessions before work is spent on them: EdgeDraining, EdgeBreathless.

        RTMP is let in: its encoders give up at the first refusal, and have the one address alone.
        """
        self._get_plane()
        if self._is_breathless():
            raise EdgeBreathless(retry_after_s=1)

    def publish(
        self, room_id: uuid.UUID, *, user_id: uuid.UUID | None, key_mark: str, offer: str
    ) -> SessionAnswer:
        """Admit a publisher; raises what the forwarding plane refuses with, or EdgeDraining."""
        plane = self._get_plane()
        answer = plane.publish(str(room_id), offer, is_held=True)
        session = MediaSession(room_id, "publisher", user_id, None, key_mark=key_mark)
        self._keep(answer.session_id, session)
        return answer

    def find(self, session_id: str) -> MediaSession | None:
        """Return a session of this edge."""
        return self._sessions.get(session_id)

    def find_lost(self, session_id: str) -> uuid.UUID | None:
        """Return the room of a publisher that was lost here a while ago."""
        return self._lost.get(session_id)

    def begin(self, session_id: str) -> None:
        """Let a publisher that is ready begin."""
        if self._plane is not None:
            self._plane.begin_publisher(session_id)

    def publish_local(
        self,
        room_id: uuid.UUID,
        user_id: uuid.UUID | None,
        codecs: Mapping[str, OfferedCodec],
        source: LocalSource,
    ) -> LocalPublisher:
        """Admit a publisher of this process; raises SfuFull or EdgeDraining."""
        publisher = self._get_plane().publish_local(str(room_id), codecs, is_held=True)
        mark = source.key_mark
        session = MediaSession(room_id, "publisher", user_id, None, source=source, key_mark=mark)
        self._keep(publisher.session_id, session)
        return publisher

    def feed(self, publisher: LocalPublisher, rtp: Sequence[bytes], rtcp: bytes) -> None:
        """Forward packets of a publisher of this process."""
        if self._plane is not None:
            self._plane.feed(publisher, rtp, rtcp)

    def watch(
        self,
        room_id: uuid.UUID,
        *,
        user_id: uuid.UUID | None,
        login: uuid.UUID | None,
        offer: str,
    ) -> SessionAnswer:
        """Admit a viewer; raises RoomNotLive and other refusals, or EdgeDraining."""
        plane = self._get_plane()
        answer = plane.watch(str(room_id), offer)
        self._keep(answer.session_id, MediaSession(room_id, "viewer", user_id, login))
        return answer

    def close(self, session_id: str) -> bool:
        """End a session; False when there is none with this id."""
        session = self._sessions.get(session_id)
        is_closed = self._plane is not None and self._plane.close_session(session_id)
        if session is not None and not session.is_connected and session.source is None:
            self._drop(session_id)  # of the others the forwarding plane tells
        return is_closed

    def patch(self, session_id: str, if_match: str | None, fragment: str) -> IceRestart | None:
        """Take candidates, or restart ICE; raises what the forwarding plane refuses with."""
        if self._plane is None:
            raise SessionEnded
        return self._plane.patch_session(session_id, if_match, fragment)

    def get_layers(self, session_id: str) -> LayerChoice:
        """Return the encodings a viewer may choose from; raises SessionEnded."""
        if self._plane is None:
            raise SessionEnded
        return self._plane.get_layers(session_id)

    def choose_layer(self, session_id: str, rid: str | None) -> LayerChoice:
        """Pin a viewer to an encoding, or unpin it; raises SessionEnded, LayerUnknown."""
        if self._plane is None:
            raise SessionEnded
        return self._plane.choose_layer(session_id, rid)

    def end_login(self, login: uuid.UUID) -> None:
        """End the sessions of a login that was revoked."""
        for session_id, session in list(self._sessions.items()):
            if session.login == login:
                self.close(session_id)

    def list_viewers(self, room_id: uuid.UUID) -> dict[str, MediaSession]:
        """Return the sessions that watch a room here."""
        return {
            session_id: session
            for session_id, session in self._sessions.items()
            if session.room_id == room_id and session.role == "viewer"
        }

    def list_publishers(self) -> dict[str, MediaSession]:
        """Return the sessions that publish here, of all rooms."""
        return {
            session_id: session
            for session_id, session in self._sessions.items()
            if session.role == "publisher" and session.is_connected
        }

    def list_watched(self, user_id: uuid.UUID) -> dict[str, MediaSession]:
        """Return the sessions in which a person watches here."""
        return {
            session_id: session
            for session_id, session in self._sessions.items()
            if session.user_id == user_id and session.role == "viewer"
        }

    def forget_unconnected(self, known: frozenset[str]) -> None:
        """Drop sessions that ended before they connected; `known` are those that still exist.

        Of the others the forwarding plane tells, in a moment if it has not yet.
        """
        for session_id in set(self._sessions) - known:
            session = self._sessions[session_id]
            if not session.is_connected and session.source is None:
                self._drop(session_id)

    # What the forwarding plane says

    def on_publisher_ready(self, _room_id: str, session_id: str) -> None:
        """A publisher waits for its word to begin."""
        if self._check is not None:
            self._check(session_id)

    def on_publisher_connected(self, room_id: str, session_id: str) -> None:
        """Media enters: the room goes live. A relay's session is none of ours."""
        session = self._connect(session_id)
        if session is None:
            return
        if self._client is not None:
            fact = PublisherUp(session_id, dict(self._origin))
            self._client.report_publisher(session.room_id, fact)
        if self._broadcasts is not None:
            if session.source is None:
                self._broadcasts.begin(room_id, session_id)
            else:
                source = session.source
                self._broadcasts.begin_frames(room_id, session_id, source.frames, source.sound)
        if self._relays is not None:
            self._relays.note_publisher(room_id, session_id)
        if self._check is not None:
            self._check(session_id)
        log.info("publisher.connected", room_id=room_id)

    def on_publisher_lost(self, room_id: str, session_id: str, reason: str) -> None:
        """Media stopped: the room is interrupted, unless it never heard of this publisher."""
        session = self._sessions.get(session_id)
        if session is None:
            return
        if session.is_connected:
            self._lost[session_id] = session.room_id
            while len(self._lost) > LOST_MAX:
                self._lost.popitem(last=False)
            self._tell_lost(session, session_id, reason)
        self._drop(session_id)
        if session.source is not None:
            session.source.on_ended(reason)
        log.info("publisher.lost", room_id=room_id, reason=reason)

    def on_viewer_connected(self, room_id: str, session_id: str) -> None:
        """Somebody watches."""
        session = self._connect(session_id)
        mirror = None if self._rooms is None else self._rooms.find(uuid.UUID(room_id))
        if session is not None and mirror is not None:
            mirror.count_watcher(session.user_id, Way.WEBRTC, +1)

    def on_viewer_left(self, room_id: str, session_id: str, reason: str) -> None:
        """Somebody stopped watching."""
        self._drop(session_id)
        log.info("viewer.left", room_id=room_id, reason=reason)

    # Within

    def _get_plane(self) -> ForwardingPlane:
        assert self._plane is not None, "use() comes first"
        if self.is_draining:
            raise EdgeDraining(retry_after_s=1)
        return self._plane

    def _tell_lost(self, session: MediaSession, session_id: str, reason: str) -> None:
        room_id = str(session.room_id)
        if self._client is not None:
            self._client.report_publisher_lost(session.room_id, session_id, reason)
        if self._broadcasts is not None:
            self._broadcasts.end(room_id, session_id)
        if self._relays is not None:
            self._relays.note_lost(room_id, reason)

    def _keep(self, session_id: str, session: MediaSession) -> None:
        assert self._rooms is not None, "use() comes first"
        self._sessions[session_id] = session
        self._rooms.hold(session.room_id)
        MEDIA_SESSIONS.labels(session.role).inc()

    def _connect(self, session_id: str) -> MediaSession | None:
        session = self._sessions.get(session_id)
        if session is None:
            return None
        connected = replace(session, is_connected=True)
        self._sessions[session_id] = connected
        return connected

    def _drop(self, session_id: str) -> None:
        session = self._sessions.pop(session_id, None)
        if session is None or self._rooms is None:
            return
        mirror = self._rooms.find(session.room_id)
        if mirror is not None and session.role == "viewer" and session.is_connected:
            mirror.count_watcher(session.user_id, Way.WEBRTC, -1)
        MEDIA_SESSIONS.labels(session.role).dec()
        self._rooms.release(session.room_id)
