"""What a viewer may know and choose of its publisher's encodings.

The part of `server.Sfu` behind the layers of a WHEP session.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.sfu.errors import LayerUnknown, SessionEnded
from media.sfu.layer_selector import LayerFact
from media.sfu.room_access import RoomAccess
from media.sfu.session import ViewerSession


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """The encodings, best first; `pinned` was chosen by hand, None: the viewer's link decides.

    `estimate_bps` is what the link carries as far as its reports of arrival tell; 0: they do not.
    """

    layers: tuple[LayerFact, ...]
    playing: str | None
    pinned: str | None
    estimate_bps: int = 0


class LayerAccess(RoomAccess):
    """Layers by session; none where the publisher sends one encoding alone."""

    def get_layers(self, session_id: str) -> LayerChoice:
        """Return what a viewer may choose from; raises SessionEnded."""
        viewer = self._get_viewer(session_id)
        room, now_s = self._rooms[viewer.room_id], self._now()
        layers = tuple(room.list_layers(now_s))
        playing, pinned = room.find_playing(viewer), viewer.selector.pinned
        return LayerChoice(layers, playing, pinned, viewer.link.estimate_bps)

    def choose_layer(self, session_id: str, rid: str | None) -> LayerChoice:
        """Pin a viewer to an encoding, or let its link decide; raises SessionEnded, LayerUnknown.

        It changes at the encoding's next keyframe, which is asked for.
        """
        viewer = self._get_viewer(session_id)
        known = {layer.rid for layer in self.get_layers(session_id).layers}
        if rid is not None and rid not in known:
            raise LayerUnknown(known=sorted(known))
        viewer.selector.pinned = rid
        room = self._rooms[viewer.room_id]
        room.choose_layers(self._now())
        room.send_feedback(self._now())
        return self.get_layers(session_id)

    def _get_viewer(self, session_id: str) -> ViewerSession:
        session = self._sessions.get(session_id)
        if not isinstance(session, ViewerSession):
            raise SessionEnded
        return session
