"""The forwarding plane of one edge process: `Sfu` takes offers and moves packets.

Called by the edge, on the event loop only. Makes sessions, routes datagrams to them, ends the
silent ones; rooms do the rest. Knows neither HTTP nor who may publish or watch: that is decided
before it is called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from kit.clock import Clock
from kit.ids import make_token
from kit.logs import get_log
from media.sfu.answer import LocalTransport, OutgoingStream, build_answer
from media.sfu.codecs import Choice, choose_publish, choose_watch
from media.sfu.dtls import DtlsIdentity, DtlsSrtpPeer, DtlsState
from media.sfu.egress_probe import choose_egress
from media.sfu.errors import RoomFull, RoomNotLive, SessionEnded, SfuFull
from media.sfu.frame_hold import FrameHold
from media.sfu.handshake_turns import HandshakeTurns
from media.sfu.handshakes import Handshakes
from media.sfu.ice import IceLite
from media.sfu.keepalive import KeepAlive
from media.sfu.layer_access import LayerAccess
from media.sfu.options import SessionAnswer, SfuEvents, SfuOptions, SfuStats
from media.sfu.relayed_layers import RelayedLayers
from media.sfu.room import SfuRoom
from media.sfu.rtp import is_rtcp
from media.sfu.sdp import Offer, OfferedCodec, parse_offer
from media.sfu.session import (
    LocalPublisher,
    PeerSession,
    Publisher,
    PublisherSession,
    Session,
    SessionParts,
    ViewerSession,
)
from media.sfu.silence import list_abandoned, list_silent
from media.sfu.stats import sum_up
from media.sfu.stun import Address
from media.sfu.ticker import Ticker
from media.sfu.trickle import IceRestart, apply_fragment, build_restart, describe_section, make_etag
from media.sfu.udp import UdpMux, choose_host

FULL_RETRY_S = 5

log = get_log("sfu")


class Sfu(LayerAccess):
    """All rooms and sessions behind one UDP port."""

    def __init__(self, options: SfuOptions, clock: Clock, events: SfuEvents) -> None:
        self._options = options
        self._clock = clock
        self._events = events
        super().__init__(clock.monotonic_s)
        self._identity = DtlsIdentity(clock.now())
        self._ice = IceLite()
        self._mux = UdpMux(self, self._now, options.stun_per_source_per_s)
        self._egress = choose_egress(self._mux, self._mux, self._now, options.egress)
        self._touched: set[SfuRoom] = set()
        self._hold = FrameHold(self._now, self._mux.run_later)
        self._handshakes = Handshakes(
            options.handshakes_per_s, options.handshakes_per_source_per_s, self._now()
        )
        run_next_turn = self._mux.run_next_turn
        self._shaking = HandshakeTurns(self._advance_dtls, run_next_turn, self._now)
        self._keepalive = KeepAlive()
        self._ticker = Ticker(self._tick)

    # For the edge

    async def start(self) -> None:
        """Bind the port and start working; raises OSError when the port is taken."""
        options = self._options
        self._mux.open(options.bind_host or choose_host(options.candidate_ips), options.port)
        self._ticker.start()
        log.info("sfu.started", port=self._mux.port, egress=self._egress.name)

    async def close(self) -> None:
        """End every session and free the port; closing twice does nothing."""
        for session in list(self._sessions.values()):
            self._end(session, "shutdown")
        await self._ticker.stop()
        self._mux.close()

    @property
    def port(self) -> int:
        """The bound UDP port; 0 while not started."""
        return self._mux.port

    def publish(self, room_id: str, offer_sdp: str, *, is_held: bool = False) -> SessionAnswer:
        """Answer a WHIP offer; once connected, the session replaces the room's publisher.

        One that `is_held` is announced as ready and waits for `begin_publisher`. Raises
        OfferMalformed, NoSupportedCodec, SfuFull.
        """
        self._check_capacity(room_id)
        offer = parse_offer(offer_sdp)
        room = self._rooms.get(room_id)
        preferred = () if room is None else room.list_preferred_codecs()
        chosen = choose_publish(offer, preferred) if preferred else choose_publish(offer)
        room = self._open_room(room_id)
        session = PublisherSession(self._make_parts(room_id, offer), chosen)
        session.held = [] if is_held else None
        self._expect(room, session)
        return self._open(session, offer, chosen, stream=None)

    def begin_publisher(self, session_id: str) -> None:
        """Let a publisher that was held begin, with what it sent so far; unless it is gone."""
        session = self._sessions.get(session_id)
        if isinstance(session, Publisher) and session.held is not None:
            held, session.held = session.held, None
            self._promote(self._rooms[session.room_id], session)
            for take in held:
                take()
            self.on_batch_end()

    def publish_local(
        self,
        room_id: str,
        codecs: Mapping[str, OfferedCodec],
        on_feedback: Callable[[bytes], None] | None = None,
        layers: RelayedLayers | None = None,
        *,
        is_held: bool = False,
    ) -> LocalPublisher:
        """Admit a publisher of this process, in place of the room's present one; raises SfuFull.

        One that `is_held` waits as in `publish`.
        """
        self._check_capacity(room_id)
        session = LocalPublisher(room_id, codecs, self._now(), on_feedback, layers)
        self._sessions[session.session_id] = session
        room = self._open_room(room_id)
        if is_held:
            session.held = []
            self._expect(room, session)
            self._tell(self._events.on_publisher_ready, session)
        else:
            self._promote(room, session)
        return session

    def feed(self, session: LocalPublisher, rtp: Sequence[bytes], rtcp: bytes = b"") -> None:
        """Forward a local publisher's packets; nothing happens once it ended or was replaced."""
        if session.held is not None:
            session.hold(partial(self.feed, session, rtp, rtcp))
        elif session.session_id in self._sessions:
            self._rooms[session.room_id].feed(session, rtp, rtcp, self._now())

    def watch(self, room_id: str, offer_sdp: str) -> SessionAnswer:
        """Answer a WHEP offer with the codecs of the room's publisher.

        Raises RoomNotLive, a local publisher's refusal, OfferMalformed, NoSupportedCodec, RoomFull,
        SfuFull.
        """
        room = self._rooms.get(room_id)
        codecs = {} if room is None else room.get_codecs()
        if room is None or not codecs:
            raise RoomNotLive(room_id=room_id)
        room.check_watchable()
        self._check_capacity(room_id)
        if len(room.viewers) >= self._options.viewers_per_room_max:
            raise RoomFull(room_id=room_id, retry_after_s=FULL_RETRY_S)
        offer = parse_offer(offer_sdp)
        chosen = choose_watch(offer, codecs)
        parts, is_measured = self._make_parts(room_id, offer), room.layers.are_several
        session = ViewerSession(parts, chosen, room.rtx_ssrc, is_measured=is_measured)
        room.viewers[session.session_id] = session
        numbers = session.transport_seq
        stream = OutgoingStream(room.cname, room.get_ssrcs(), room.rtx_ssrc, numbers)
        return self._open(session, offer, chosen, stream)

    def close_session(self, session_id: str) -> bool:
        """End a session; False when there is none with this id."""
        session = self._sessions.get(session_id)
        if session is not None:
            self._end(session, "closed")
        return session is not None

    def patch_session(
        self, session_id: str, if_match: str | None, fragment_sdp: str
    ) -> IceRestart | None:
        """Take what trickles in, None to answer; or restart ICE, which keeps media flowing.

        Raises SessionEnded, FragmentMalformed, EtagMissing, EtagDiffers.
        """
        session = self._sessions.get(session_id)
        if not isinstance(session, PeerSession):
            raise SessionEnded
        if not apply_fragment(session, self._ice, if_match, fragment_sdp):
            return None
        return build_restart(session, self._describe_transport(session))

    def stats(self) -> SfuStats:
        """Return the counts of every room and of the whole."""
        rooms = tuple(room.get_stats() for room in self._rooms.values())
        return sum_up(rooms, len(self._sessions), self._handshakes, self._mux, self._egress)

    # For the mux

    def on_stun(self, datagram: bytes, source: Address) -> None:
        """Answer a connectivity check, and follow the peer once its new path is proven."""
        outcome = self._ice.take(datagram, source, self._now())
        if outcome is None:
            self._mux.datagrams_refused += 1
            return
        session = self._sessions[outcome.session_id]
        assert isinstance(session, PeerSession), "only peers have an agent"
        if outcome.is_moved and isinstance(session, ViewerSession):
            session.follow_address()
        for reply in outcome.replies:
            self._mux.send_or_drop(reply, source)
        waits_for_us = session.dtls.is_client and not session.dtls.is_started
        if waits_for_us and self._may_shake_hands(session, source):
            session.send(session.dtls.start())

    def on_dtls(self, datagram: bytes, source: Address) -> None:
        """Advance a handshake, or hear that the peer is leaving; only from where a peer checked."""
        session = self._find_session(source)
        if session is None or not self._may_shake_hands(session, source):
            self._mux.datagrams_refused += 1
        elif session.srtp is not None:
            self._advance_dtls(session, datagram)
        elif not self._shaking.add(session, datagram):
            self._mux.datagrams_refused += 1

    def _advance_dtls(self, session: PeerSession, datagram: bytes) -> None:
        session.send(session.dtls.receive(datagram))
        state = session.dtls.state
        if state is DtlsState.CONNECTED and session.srtp is None:
            self._connect(session)
        elif state is DtlsState.CLOSED:
            self._end(session, "left")
        elif state is DtlsState.FAILED:
            self._handshakes.failed += session.srtp is None
            log.info("sfu.dtls_failed", session=session.label, why=session.dtls.failure)
            self._end(session, "left")

    def on_media(self, datagram: bytes, source: Address) -> None:
        """Decrypt one packet and give it to its room."""
        session = self._find_session(source)
        if session is None or session.srtp is None:
            self._mux.datagrams_refused += 1
            return
        room = self._rooms[session.room_id]
        if is_rtcp(datagram):
            packet = session.srtp.unprotect_rtcp(datagram)
            if packet is not None:
                now_s = session.note_heard(source, self._now())
                room.apply_rtcp(session, packet, now_s)
        elif isinstance(session, PublisherSession) and session is room.publisher:
            self._take_media(session, datagram, source)
        elif isinstance(session, PublisherSession):
            session.hold(partial(self._take_media, session, datagram, source))

    def _take_media(self, session: PublisherSession, datagram: bytes, source: Address) -> None:
        assert session.srtp is not None, "media follows the handshake"
        packet = session.srtp.unprotect(datagram)
        if packet is not None:
            room, now_s = self._rooms[session.room_id], session.note_heard(source, self._now())
            room.apply_rtp(session, packet, now_s)
            self._touched.add(room)

    def on_batch_end(self) -> None:
        """Forward what the batch brought."""
        if self._touched:
            self._hold.flush(self._touched)
            self._touched.clear()

    # Sessions

    def _check_capacity(self, room_id: str) -> None:
        is_full = len(self._sessions) >= self._options.sessions_max
        is_new = room_id not in self._rooms
        if is_full or (is_new and len(self._rooms) >= self._options.rooms_max):
            raise SfuFull(retry_after_s=FULL_RETRY_S)
        if not self._ticker.is_running:
            raise SfuFull(reason="not_running", retry_after_s=1)

    def _make_parts(self, room_id: str, offer: Offer) -> SessionParts:
        session_id = make_token()
        return SessionParts(
            session_id=session_id,
            room_id=room_id,
            agent=self._ice.add_agent(session_id, offer.ice_ufrag, offer.ice_password),
            dtls=DtlsSrtpPeer(self._identity, offer.fingerprints, is_client=offer.is_dtls_server),
            transmit=self._mux.send_or_drop,
            created_at_s=self._now(),
        )

    def _open(
        self, session: PeerSession, offer: Offer, chosen: Choice, stream: OutgoingStream | None
    ) -> SessionAnswer:
        self._sessions[session.session_id] = session
        session.etag, session.section = make_etag(), describe_section(offer, chosen)
        answer = build_answer(offer, chosen, self._describe_transport(session), stream)
        return SessionAnswer(session.session_id, answer, session.etag)

    def _describe_transport(self, session: PeerSession) -> LocalTransport:
        return LocalTransport(
            ice_ufrag=session.agent.newest.local_ufrag,
            ice_password=session.agent.newest.local_password,
            fingerprint=self._identity.fingerprint,
            candidate_ips=self._options.candidate_ips,
            port=self._mux.port,
        )

    def _connect(self, session: PeerSession) -> None:
        """Let media flow: the handshake is done and the certificate is the offered one."""
        session.start_srtp()
        self._handshakes.done += 1
        room = self._rooms[session.room_id]
        log.info("sfu.session_connected", room=session.room_id, session=session.label)
        if isinstance(session, PublisherSession) and session.held is not None:
            self._tell(self._events.on_publisher_ready, session)
        elif isinstance(session, PublisherSession):
            self._promote(room, session)
        elif isinstance(session, ViewerSession):
            room.connect_viewer(session, self._now())
            self._tell(self._events.on_viewer_connected, session)

    def _expect(self, room: SfuRoom, session: Publisher) -> None:
        """Let a publisher be the room's next, in place of another that has not begun."""
        expected, room.next_publisher = room.next_publisher, session
        if expected is not None:
            self._end(expected, "replaced")

    def _promote(self, room: SfuRoom, session: Publisher) -> None:
        """Let a connected publisher take the place of the last one."""
        previous = room.publisher
        mismatched = room.promote_publisher(session, self._now())
        if previous is not None:
            self._end(previous, "replaced")
        for viewer in mismatched:
            self._end(viewer, "codec_changed")
        self._tell(self._events.on_publisher_connected, session)

    def _open_room(self, room_id: str) -> SfuRoom:
        room = self._rooms.get(room_id)
        if room is None:
            room = self._rooms[room_id] = SfuRoom(room_id, self._options, self._egress, self._now())
        return room

    def _end(self, session: PeerSession | LocalPublisher, reason: str) -> None:
        """Close a session, tell its room and the edge; ending twice does nothing."""
        if self._sessions.pop(session.session_id, None) is None:
            return
        was_connected = session.is_connected
        session.is_open = False
        if isinstance(session, PeerSession):
            session.send(session.dtls.close())
            self._ice.remove_agent(session.agent)
        room = self._rooms[session.room_id]
        if isinstance(session, Publisher):
            room.remove_publisher(session, self._now())
            announce = self._events.on_publisher_lost
        else:
            assert isinstance(session, ViewerSession), "a session publishes or watches"
            room.remove_viewer(session)
            announce = self._events.on_viewer_left
        log.info("sfu.session_ended", room=room.room_id, session=session.label, reason=reason)
        if was_connected:
            self._tell(announce, session, reason)
        if not room.viewers and room.publisher is None and room.next_publisher is None:
            del self._rooms[room.room_id]
            self._touched.discard(room)

    def _tell(self, announce: Callable[..., None], session: Session, *rest: str) -> None:
        """Call an event handler in the next loop turn: it may call us back."""
        loop = asyncio.get_running_loop()
        loop.call_soon(announce, session.room_id, session.session_id, *rest)

    def _find_session(self, source: Address) -> PeerSession | None:
        session_id = self._ice.find_session(source)
        session = None if session_id is None else self._sessions[session_id]
        return session if isinstance(session, PeerSession) else None

    def _may_shake_hands(self, session: PeerSession, source: Address) -> bool:
        """Tell whether a handshake may start now; one that has started may go on."""
        return session.dtls.is_started or self._handshakes.may_start(source[0], self._now())

    # Time

    def _tick(self) -> None:
        now_s = self._now()
        for session in list_silent(self._sessions.values(), self._ice, self._options, now_s):
            self._end(session, "timeout")
        self._keepalive.run(self._sessions.values(), now_s)
        for room in list(self._rooms.values()):
            room.send_feedback(now_s)
            room.measure_rates(now_s)
        for viewer in list_abandoned(self._rooms.values(), self._options, now_s):
            self._end(viewer, "publisher_gone")
