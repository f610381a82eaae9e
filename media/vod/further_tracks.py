"""Which tracks of an uploaded file are not taken, in words for its owner.

The probe calls it, inside its child process. One picture and one sound are taken; cover pictures
and thumbnails are no pictures that anybody would miss. It reads no packets.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from av.stream import Disposition

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

NOT_PICTURES = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
TOLD_MAX = 6
"""So many tracks are named; of the others it says how many there are."""
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,2}")
NO_LANGUAGE = "und"
"""ISO 639-2: undetermined."""


def list_untaken(container: InputContainer, taken: Collection[int]) -> list[str]:
    """Return a sentence for each kind of track that has some besides those `taken`, by index."""
    moving = [stream for stream in container.streams.video if not stream.disposition & NOT_PICTURES]
    kinds: list[tuple[str, Sequence[Stream]]] = [
        ("moving picture", moving),
        ("sound track", container.streams.audio),
        ("subtitle track", container.streams.subtitles),
    ]
    sentences = []
    for name, streams in kinds:
        left = [stream for stream in streams if stream.index not in taken]
        if left:
            sentences.append(_write_sentence(name, left))
    return sentences


def _write_sentence(kind: str, left: Sequence[Stream]) -> str:
    # Subtitles are taken as files of their own, so none in here is a further one.
    further = "" if kind == "subtitle track" else "further "
    told = ", ".join(_name_track(stream) for stream in left[:TOLD_MAX])
    if len(left) > TOLD_MAX:
        told += f" and {len(left) - TOLD_MAX} more"
    if len(left) == 1:
        return f"1 {further}{kind} was left out: {told}."
    return f"{len(left)} {further}{kind}s were left out: {told}."


def _name_track(stream: Stream) -> str:
    """Its number, counted from one as players do, its language where it says one, its codec."""
    words = []
    language = stream.metadata.get("language", NO_LANGUAGE)
    if language != NO_LANGUAGE and LANGUAGE.fullmatch(language):
        words.append(language)
    if stream.codec_context is not None:
        words.append(stream.codec_context.codec.canonical_name)
    return f"track {stream.index + 1}" + (f" ({', '.join(words)})" if words else "")
