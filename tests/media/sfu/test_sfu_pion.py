"""Pion, another WebRTC stack, publishes and watches over a network that loses and delays."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.media.sfu.browser_page import make_app
from tests.media.sfu.impaired_link import HERE, Conditions, ImpairedLink
from tests.media.sfu.stage import Stage, renew_proofs, start_stage, wait_until

pytestmark = pytest.mark.media

PROGRAM = Path(__file__).with_name("pion")
LIBRARIES = Path("/usr/share/gocode")
BAD = Conditions(loss=0.05, delay_s=0.01, jitter_s=0.05)
PICTURES = 90
PATIENCE_S = 120


@pytest.fixture
async def pion(tmp_path: Path) -> Path:
    """Build the program against Debian's packages; nothing is fetched."""
    go = shutil.which("go")
    assert go is not None, "conftest.py collects this file where there is Go"
    # Import paths end in major versions that Debian's folders lack: Go allows that to modules
    # within GOPATH alone (`go help gopath`).
    shutil.copytree(PROGRAM, tmp_path / "src/socialflow/pion")
    paths = {"GOPATH": f"{tmp_path}:{LIBRARIES}", "GO111MODULE": "off", "GOFLAGS": ""}
    building = await asyncio.create_subprocess_exec(
        *(go, "build", "-ldflags=-s -w", "-o", str(tmp_path / "pion"), "."),
        cwd=tmp_path / "src/socialflow/pion",
        env={**os.environ, **paths},
        stderr=PIPE,
    )
    async with asyncio.timeout(PATIENCE_S):
        _, errors = await building.communicate()
    assert building.returncode == 0, errors.decode()
    return tmp_path / "pion"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = await start_stage()
    yield stage
    await stage.close()


@pytest.fixture
async def links(stage: Stage) -> AsyncIterator[dict[str, ImpairedLink]]:
    """The publisher's link and the viewer's, unharmed at first."""
    port = stage.sfu.port
    links = {"whip": ImpairedLink((HERE, port), 1), "whep": ImpairedLink((HERE, port), 2)}
    for link in links.values():
        await link.start()
    yield links
    for link in links.values():
        link.close()


@pytest.fixture
async def url(stage: Stage, links: dict[str, ImpairedLink]) -> AsyncIterator[str]:
    """Answer WHIP and WHEP so that each goes over its link."""
    app = make_app(stage.sfu, redirect=lambda protocol, sdp: links[protocol].redirect(sdp))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HERE, 0).start()
    yield f"http://{HERE}:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_what_pion_sends_reaches_pion_whole_and_in_order(
    pion: Path, stage: Stage, links: dict[str, ImpairedLink], url: str
) -> None:
    publisher = await asyncio.create_subprocess_exec(
        pion, "publish", f"{url}/whip/r", stdin=PIPE, stdout=PIPE
    )
    try:
        await wait_until(lambda: stage.sfu.stats().handshakes == 1)
        viewer = await asyncio.create_subprocess_exec(
            *(pion, "watch", f"{url}/whep/r", str(PICTURES)), stdout=PIPE, stderr=PIPE
        )
        await wait_until(lambda: stage.sfu.stats().handshakes == 2)
        await renew_proofs(stage.sfu)
        for link in links.values():
            link.up.conditions = link.down.conditions = BAD
        async with asyncio.timeout(PATIENCE_S):
            said, errors = await viewer.communicate()
    finally:
        wishes, _ = await publisher.communicate(b"")
    assert viewer.returncode == 0, errors.decode()
    (room,) = stage.sfu.stats().rooms
    shown, waited, longest_ms = map(int, said.split())
    print(f"{waited} packets waited, {longest_ms} ms without a picture, {int(wishes)} keyframes")
    assert shown >= PICTURES
    assert room.nacks_out > 0
    assert room.retransmits > 0
