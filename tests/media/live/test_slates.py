"""Slates by the real encoder: what a decoder shows, made once per shape."""

from __future__ import annotations

import asyncio
import io

import av
import pytest

from media.cmaf import Sample, build_fragment, build_init_segment
from media.live import slates
from media.live.samples import VideoCodec
from media.live.slates import Slate, SlateBook, SlateShape

pytestmark = pytest.mark.media


def decode(slate: Slate) -> list[av.VideoFrame]:
    """Decode one loop as a player does."""
    step = slate.shape.frame_ticks
    samples = [Sample(data, step, is_key=n == 0) for n, data in enumerate(slate.pictures)]
    fragment = build_fragment(samples, number=1, base_ticks=0, is_video=True)
    with av.open(io.BytesIO(build_init_segment(slate.format.track) + fragment)) as container:
        return list(container.decode(video=0))


async def test_a_slate_is_encoded_once_and_shows_its_words() -> None:
    book = SlateBook(asyncio.get_running_loop().time)
    shape = SlateShape(640, 360, 25)
    first, second = await asyncio.gather(book.get(shape), book.get(shape))
    assert first is not None
    assert first is second is await book.get(shape)
    assert (first.format.width, first.format.height) == (640, 360)
    assert first.format.codec_name.startswith("avc1.42")
    assert sum(map(len, first.pictures)) < 20_000
    frames = decode(first)
    assert len(frames) == 50
    pixels = frames[-1].to_ndarray(format="gray")
    assert pixels[:40].max() < 40  # the ground is dark
    assert pixels[180:260].max() > 200  # and the words are not
    await book.close()


@pytest.mark.parametrize(("codec", "name"), [("hevc", "hvc1."), ("av1", "av01.")])
async def test_a_slate_is_in_the_codec_of_the_picture_it_stands_in_for(
    codec: VideoCodec, name: str
) -> None:
    book = SlateBook(asyncio.get_running_loop().time)
    slate = await book.get(SlateShape(640, 360, 25, codec))
    assert slate is not None
    assert slate.format.codec_name.startswith(name)
    assert (slate.format.width, slate.format.height) == (640, 360)
    frames = decode(slate)
    assert len(frames) == 50
    pixels = frames[-1].to_ndarray(format="gray")
    assert pixels[:40].max() < 40
    assert pixels[180:260].max() > 200
    await book.close()


async def test_a_shape_that_cannot_be_encoded_is_not_tried_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [0.0]
    book = SlateBook(lambda: now_s[0])
    impossible = SlateShape(0, 360, 25)
    assert await book.get(impossible) is None
    tries: list[SlateShape] = []
    monkeypatch.setattr(slates, "_encode", tries.append)
    assert await book.get(impossible) is None
    assert not tries
