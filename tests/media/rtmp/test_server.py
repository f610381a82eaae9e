"""The listener with FFmpeg as publisher, and with clients that break the rules."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import imageio_ffmpeg
import pytest
import uvloop

from media.rtmp.errors import PublishRefused
from media.rtmp.handshake import BLOCK_BYTES
from media.rtmp.server import Applicant, RtmpOptions, RtmpServer
from media.rtmp.tags import AudioConfig, AudioTag, Tag, VideoConfig, VideoTag
from tests.documented import read_command
from tests.media.rtmp.client import C0_C1, VIDEO, command, hello, media, read_commands

pytestmark = pytest.mark.media

DEADLINE_S = 60


@dataclass
class Kept:
    """A publication that keeps what comes and says when it ended."""

    tags: list[Tag] = field(default_factory=list)
    reason: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def apply(self, tag: Tag) -> None:
        if tag == VideoTag("H264", 0, 0, False, b"bad"):
            raise PublishRefused("No such picture, please.")
        self.tags.append(tag)
        self.begun.set()

    def end(self, reason: str) -> None:
        assert not self.reason, "an end is told once"
        self.reason = reason
        self.ended.set()


class Stage:
    """A running listener, who asked, and what came."""

    def __init__(self, options: RtmpOptions) -> None:
        self.server = RtmpServer(options, self.admit)
        self.applicants: list[Applicant] = []
        self.kept: list[Kept] = []

    async def admit(self, applicant: Applicant) -> Kept:
        if not applicant.key.startswith("good"):
            raise PublishRefused("This stream key is not known.")
        self.applicants.append(applicant)
        self.kept.append(Kept())
        return self.kept[-1]

    async def await_end(self) -> Kept:
        """Return the only publication once all of it was read: its sender may end before."""
        (kept,) = self.kept
        async with asyncio.timeout(DEADLINE_S):
            await kept.ended.wait()
        return kept

    def url(self, key: str) -> str:
        return f"rtmp://127.0.0.1:{self.server.port}/live/{key}"


async def open_stage(**options: object) -> Stage:
    stage = Stage(RtmpOptions(port=0, **options))
    await stage.server.start()
    return stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    opened = await open_stage()
    yield opened
    await opened.server.close()


@dataclass(frozen=True)
class Encoding:
    """What FFmpeg sends; `ffmpeg` is which one: Debian's knows no enhanced RTMP."""

    video: str = "libx264 -preset ultrafast"
    sound: str = "aac -ar 48000"
    ffmpeg: str = "ffmpeg"
    sound_after_s: float = 0.0
    """How much later than the picture the sound begins."""


H264 = Encoding()
NEWER = imageio_ffmpeg.get_ffmpeg_exe()
HEVC = Encoding("libx265 -preset ultrafast -x265-params log-level=error", ffmpeg=NEWER)
AV1 = Encoding("libsvtav1 -preset 12 -svtav1-params lp=1", "libopus", NEWER)


async def run_ffmpeg(
    url: str,
    *,
    seconds: float = 2,
    b_frames: int = 0,
    size: str = "320x180",
    encoding: Encoding = H264,
) -> str:
    """Publish a test picture and tone, as fast as can be; return what FFmpeg said."""
    command = (
        f"{encoding.ffmpeg} -v info -nostdin"
        f" -f lavfi -i testsrc2=size={size}:rate=25:duration={seconds}"
        f" -itsoffset {encoding.sound_after_s} -f lavfi -i sine=duration={seconds}"
        f" -c:v {encoding.video} -bf {b_frames} -g 25 -pix_fmt yuv420p"
        f" -c:a {encoding.sound} -ac 2 -f flv {url}"
    )
    process = await asyncio.create_subprocess_exec(
        *command.split(), stderr=asyncio.subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    async with asyncio.timeout(DEADLINE_S):
        _out, said = await process.communicate()
    return f"{process.returncode}\n{said.decode(errors='replace')}"


async def test_ffmpeg_publishes_every_frame(stage: Stage) -> None:
    await check_every_frame(stage)


def test_it_works_on_the_loop_that_ray_gives_its_actors() -> None:
    async def run() -> None:
        stage = await open_stage()
        await check_every_frame(stage)
        await stage.server.close()

    uvloop.run(run())


async def check_every_frame(stage: Stage) -> None:
    said = await run_ffmpeg(stage.url("good"))
    assert said.startswith("0\n"), said
    kept = await stage.await_end()
    assert kept.reason == "left"
    pictures = [tag for tag in kept.tags if isinstance(tag, VideoTag)]
    sounds = [tag for tag in kept.tags if isinstance(tag, AudioTag)]
    assert [p.is_keyframe for p in pictures].count(True) == 2
    assert len(pictures) == 50
    assert pictures[-1].dts_ms - pictures[0].dts_ms == 49 * 40
    assert abs(len(sounds) - 2 * 48_000 / 1024) <= 3
    assert sum(isinstance(tag, VideoConfig) for tag in kept.tags) == 1
    assert any(isinstance(tag, AudioConfig) for tag in kept.tags)
    assert stage.applicants[0].app == "live"
    assert "good" not in repr(stage.applicants[0])


@pytest.mark.parametrize(
    ("encoding", "codecs"), [(HEVC, ("H265", "AAC")), (AV1, ("AV1", "OPUS"))], ids=["hevc", "av1"]
)
async def test_ffmpeg_publishes_by_enhanced_rtmp(
    stage: Stage, encoding: Encoding, codecs: tuple[str, str]
) -> None:
    said = await run_ffmpeg(stage.url("good"), encoding=encoding)
    assert said.startswith("0\n"), said
    kept = await stage.await_end()
    pictures = [tag for tag in kept.tags if isinstance(tag, VideoTag)]
    sounds = [tag for tag in kept.tags if isinstance(tag, AudioTag)]
    assert len(pictures) == 50
    assert [p.is_keyframe for p in pictures].count(True) == 2
    assert ({p.codec for p in pictures}, {s.codec for s in sounds}) == (
        {codecs[0]},
        {codecs[1]},
    )


async def test_b_frames_keep_both_times(stage: Stage) -> None:
    await run_ffmpeg(stage.url("good"), b_frames=2)
    kept = await stage.await_end()
    pictures = [tag for tag in kept.tags if isinstance(tag, VideoTag)]
    assert len(pictures) == 50
    shown = [p.pts_ms for p in pictures]
    assert shown != sorted(shown)
    assert sorted(shown) == [shown[0] + 40 * n for n in range(50)]


async def test_a_wrong_key_is_refused_before_any_media(stage: Stage) -> None:
    said = await run_ffmpeg(stage.url("bad"))
    assert not said.startswith("0\n")
    assert "This stream key is not known." in said
    assert stage.kept == []


async def test_the_documented_command_publishes_by_rtmps(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
        f" -subj /CN=localhost -keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    stage = await open_stage(tls=context)
    try:
        place = {"localhost:1936": f"127.0.0.1:{stage.server.port}"}
        words = read_command("RTMPS", place, "good", seconds=1)
        encoder = await asyncio.create_subprocess_exec(*words, stdin=subprocess.DEVNULL)
        async with asyncio.timeout(DEADLINE_S):
            assert await encoder.wait() == 0
        kept = await stage.await_end()
        assert sum(isinstance(tag, VideoTag) for tag in kept.tags) == 25
    finally:
        await stage.server.close()


async def connect(stage: Stage) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", stage.server.port)


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    """Return what the server still says before it ends the connection."""
    said = b""
    async with asyncio.timeout(DEADLINE_S):
        try:
            while data := await reader.read(65536):
                said += data
        except ConnectionResetError:
            pass
    return said


async def publish(stage: Stage) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Kept]:
    reader, writer = await connect(stage)
    writer.write(hello("good"))
    async with asyncio.timeout(DEADLINE_S):
        await reader.readuntil(b"Publish.Start")
        writer.write(media(VIDEO, 0, b"\x17\x00\x00\x00\x00record"))
        await stage.kept[-1].begun.wait()
    return reader, writer, stage.kept[-1]


async def test_a_publisher_can_be_cut_and_is_told_why(stage: Stage) -> None:
    reader, writer, kept = await publish(stage)
    stage.applicants[0].cut("The stream key was changed.")
    assert b"The stream key was changed." in await read_to_end(reader)
    assert kept.reason == "cut"
    assert len(stage.server) == 0
    writer.close()


async def test_what_the_product_refuses_ends_the_stream(stage: Stage) -> None:
    reader, writer, kept = await publish(stage)
    writer.write(media(VIDEO, 0, b"\x27\x01\0\0\0bad"))
    assert b"No such picture, please." in await read_to_end(reader)
    assert kept.reason == "cut"
    writer.close()


KEYFRAME = media(VIDEO, 40, b"\x17\x01\0\0\0key")


async def test_media_in_one_write_with_publish_waits_until_its_publisher_is_admitted(
    stage: Stage,
) -> None:
    reader, writer = await connect(stage)
    writer.write(hello("good") + media(VIDEO, 0, b"\x17\x00\x00\x00\x00record") + KEYFRAME)
    async with asyncio.timeout(DEADLINE_S):
        said = await reader.readuntil(b"Publish.Start")
        while not stage.kept or len(stage.kept[0].tags) < 2:
            await asyncio.sleep(0.01)
    assert [words[0] for words in read_commands(said + await reader.read(4096))][-1] == "onStatus"
    writer.write(media(VIDEO, 80, b"\x27\x01\0\0\0next"))
    async with asyncio.timeout(DEADLINE_S):
        while len(stage.kept[0].tags) < 3:
            await asyncio.sleep(0.01)
    assert stage.kept[0].tags == [
        VideoConfig("H264", b"record"),
        VideoTag("H264", 40, 40, True, b"key"),
        VideoTag("H264", 80, 80, False, b"next"),
    ]
    writer.close()


async def test_media_in_one_write_with_a_refused_publish_is_never_heard(stage: Stage) -> None:
    reader, writer = await connect(stage)
    writer.write(hello("bad") + KEYFRAME)
    assert b"This stream key is not known." in await read_to_end(reader)
    assert stage.kept == []
    writer.close()


@pytest.mark.parametrize(
    ("behind", "reason"),
    [
        pytest.param(media(VIDEO, 0, b"\x27\x01\0\0\0bad"), "cut", id="refused"),
        pytest.param(media(VIDEO, 0, b"\x12old"), "cut", id="unsupported"),
        pytest.param(media(VIDEO, 0, b"\x17\x01"), "malformed", id="malformed"),
        pytest.param(KEYFRAME + command("deleteStream", 6, None, 1), "left", id="left"),
    ],
)
async def test_what_is_wrong_in_one_write_with_publish_ends_as_it_does_later(
    stage: Stage, behind: bytes, reason: str
) -> None:
    reader, writer = await connect(stage)
    writer.write(hello("good") + behind)
    await read_to_end(reader)
    assert stage.kept[0].reason == reason
    assert len(stage.server) == 0
    writer.close()


async def test_a_publisher_that_vanishes_is_lost(stage: Stage) -> None:
    _reader, writer, kept = await publish(stage)
    writer.transport.abort()
    async with asyncio.timeout(DEADLINE_S):
        await kept.ended.wait()
    assert kept.reason == "lost"


async def test_malformed_bytes_cost_their_own_connection_alone(stage: Stage) -> None:
    _reader, good, kept = await publish(stage)
    for bad in (b"GET / HTTP/1.1\r\n\r\n", C0_C1 + bytes(BLOCK_BYTES) + b"\xc4"):
        reader, writer = await connect(stage)
        writer.write(bad)
        await read_to_end(reader)
        writer.close()
    assert kept.reason == ""
    assert len(stage.server) == 1
    good.close()


async def test_the_silent_and_the_slow_are_ended() -> None:
    stage = await open_stage(admission_timeout_s=1.0, idle_timeout_s=1.0)
    try:
        reader, writer = await connect(stage)
        _reader, other, kept = await publish(stage)
        assert await read_to_end(reader) == b""
        async with asyncio.timeout(DEADLINE_S):
            await kept.ended.wait()
        assert kept.reason == "timeout"
        writer.close()
        other.close()
    finally:
        await stage.server.close()


async def test_an_admission_that_hangs_is_a_refusal() -> None:
    asked = asyncio.Event()

    async def hang(_applicant: Applicant) -> Kept:
        asked.set()
        await asyncio.sleep(3600)
        raise AssertionError

    server = RtmpServer(RtmpOptions(port=0, admission_timeout_s=1.0), hang)
    await server.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(hello())
        async with asyncio.timeout(DEADLINE_S):
            await asked.wait()
        end_late(server)  # which it is not for being asked about
        said = await read_to_end(reader)
        assert read_commands(said)[-1][3]["description"] == "The server is busy; try again."
        writer.close()
    finally:
        await server.close()


def end_late(server: RtmpServer) -> None:
    """Look at every connection as if it had been there for an hour."""
    for connection in list(server._connections):
        connection.check_limits(asyncio.get_running_loop().time() + 3600)


async def test_who_is_told_goodbye_has_the_time_to_hear_it(stage: Stage) -> None:
    reader, writer, _kept = await publish(stage)
    stage.applicants[0].cut("The stream key was changed.")
    end_late(stage.server)
    assert len(stage.server) == 1
    assert b"The stream key was changed." in await read_to_end(reader)
    writer.close()


async def test_who_says_goodbye_may_say_more_afterwards(stage: Stage) -> None:
    _reader, writer, kept = await publish(stage)
    writer.write(command("deleteStream", 6, None, 1))
    async with asyncio.timeout(DEADLINE_S):
        await kept.ended.wait()
    end_late(stage.server)
    assert (kept.reason, len(stage.server)) == ("left", 1)
    writer.close()


async def test_one_address_may_not_hold_all_places() -> None:
    stage = await open_stage(unadmitted_per_address_max=2)
    try:
        held = [await connect(stage) for _ in range(2)]
        for _reader, writer in held:
            writer.write(C0_C1)
        for reader, _writer in held:
            await reader.readexactly(1)
        reader, writer = await connect(stage)
        assert await read_to_end(reader) == b""
        assert stage.server.refused == 1
        for _reader, open_writer in [*held, (reader, writer)]:
            open_writer.close()
    finally:
        await stage.server.close()


async def test_too_high_a_bit_rate_is_cut() -> None:
    stage = await open_stage(bitrate_max_bps=100_000, bitrate_over_s_max=2)
    try:
        reader, writer, kept = await publish(stage)

        async def send() -> None:
            for number in range(600):
                writer.write(media(VIDEO, number * 20, b"\x27\x01\0\0\0" + bytes(5000)))
                await asyncio.sleep(0.02)

        sending = asyncio.create_task(send())
        assert b"lower the bit rate" in await read_to_end(reader)
        assert kept.reason == "cut"
        sending.cancel()
        writer.close()
    finally:
        await stage.server.close()


async def test_closing_tells_the_publication(stage: Stage) -> None:
    _reader, writer, kept = await publish(stage)
    await stage.server.close()
    await stage.server.close()
    assert kept.reason == "shutdown"
    writer.close()
