"""Pion, another WebRTC stack, publishes and watches over a network that loses and delays."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.media.sfu.browser_page import make_app
from tests.media.sfu.impaired_link import HERE, Conditions, ImpairedLink
from tests.media.sfu.pion_program import PATIENCE_S, build_pion
from tests.media.sfu.stage import Stage, renew_proofs, start_stage, wait_until

pytestmark = [pytest.mark.media, pytest.mark.timeout(300)]

BAD = Conditions(loss=0.05, delay_s=0.01, jitter_s=0.05)
PICTURES = 90


@pytest.fixture
async def pion(tmp_path: Path) -> Path:
    return await asyncio.to_thread(build_pion, tmp_path)


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
