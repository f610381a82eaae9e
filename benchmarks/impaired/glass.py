"""Chromium films, sends, watches and measures; the network between it and the plane is ours."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from playwright.async_api import Page, async_playwright

from benchmarks.frame import Answer
from benchmarks.impaired.page import PAGE
from kit.clock import SystemClock
from media.sfu.server import Sfu
from tests.media.sfu.browser_page import make_app
from tests.media.sfu.impaired_link import HERE, Conditions, ImpairedLink
from tests.media.sfu.stage import LOOPBACK, EventLog

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
)
SEEDS = {"whip": 1, "whep": 2}
DECODED_SHARE_MIN = 0.5
ENCODINGS = (
    {"rid": "q", "scaleResolutionDownBy": 2, "maxBitrate": 200_000},
    {"rid": "f", "scaleResolutionDownBy": 1, "maxBitrate": 1_500_000},
)
LARGE_SHARE = 1.5
"""The large encoding is so much more than the narrow link carries, before that is narrowed."""
STEADY_S = 3.0
LOOK_S = 0.05
CHANGE_MAX_S = 60.0


async def show(bad: Mapping[str, Conditions], seconds: float, joins: int) -> Answer:
    """Join some times over unharmed links, then watch with bad ones, each so both ways.

    `bad` are the conditions by link: "whip" is the publisher's, "whep" the viewer's.
    """
    sfu = Sfu(LOOPBACK, SystemClock(), EventLog())
    await sfu.start()
    links = {name: ImpairedLink((HERE, sfu.port), seed) for name, seed in SEEDS.items()}
    for link in links.values():
        await link.start()
    async with open_page(sfu, links) as page:
        await page.evaluate("publish()")
        firsts = [float(await page.evaluate("watch()")) for _ in range(joins)]
        for name, conditions in bad.items():
            links[name].up.conditions = links[name].down.conditions = conditions
        wished = sfu.stats().rooms[0].plis_out
        seen = await page.evaluate("seconds => measure(seconds)", seconds)
        wished = sfu.stats().rooms[0].plis_out - wished
    for link in links.values():
        link.close()
    await sfu.close()
    latencies, first = percentiles(seen["latenciesMs"]), percentiles(firsts)
    figures = {
        "glass_to_glass_p50_ms": latencies[0],
        "glass_to_glass_p95_ms": latencies[1],
        "first_picture_p95_ms": first[1],
        "frozen_ms_per_minute": seen["frozenMs"] * 60 / seconds,
        "longest_gap_ms": seen["longestGapMs"],
        "keyframe_wishes_per_s": wished / seconds,
        "pictures_sent_per_s": seen["encoded"] / seconds,
        "pictures_per_s": seen["decoded"] / seconds,
        "sent_kbit_per_s": seen["sentBytes"] * 8 / 1000 / seconds,
        "repeats_per_s": seen["repeated"] / seconds,
    }
    is_watched = seen["decoded"] > DECODED_SHARE_MIN * seen["encoded"]
    return Answer(figures, "watched" if is_watched else f"{seen['decoded']} of {seen['encoded']}")


async def narrow(rate_bps: float) -> Answer:
    """Send two encodings, narrow the viewer's link, widen it again; say when it got which."""
    sfu = Sfu(LOOPBACK, SystemClock(), EventLog())
    await sfu.start()
    links = {name: ImpairedLink((HERE, sfu.port), seed) for name, seed in SEEDS.items()}
    for link in links.values():
        await link.start()
    async with open_page(sfu, links) as page:
        await page.evaluate("encodings => publish(encodings)", list(ENCODINGS))
        await page.evaluate("watch()")
        (viewer,) = [one.session_id for one in sfu.list_sessions() if one.role == "viewer"]

        async def wait_for(rid: str, least_bps: int = 0) -> float:
            began_s = time.monotonic()
            while (took_s := time.monotonic() - began_s) < CHANGE_MAX_S:
                choice = sfu.get_layers(viewer)
                fact = next((one for one in choice.layers if one.rid == rid), None)
                if choice.playing == rid and fact and fact.bitrate_bps >= least_bps:
                    break
                await asyncio.sleep(LOOK_S)
            return took_s

        await wait_for("f", round(LARGE_SHARE * rate_bps))
        await asyncio.sleep(STEADY_S)
        links["whep"].down.conditions = Conditions(rate_bps=rate_bps)
        smaller_s = await wait_for("q")
        await asyncio.sleep(STEADY_S)
        links["whep"].down.conditions = Conditions()
        larger_s = await wait_for("f")
    for link in links.values():
        link.close()
    await sfu.close()
    return Answer({"smaller_after_s": smaller_s, "larger_after_s": larger_s}, "watched")


def percentiles(values: list[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile."""
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return statistics.median(values), cuts[-1]


@asynccontextmanager
async def open_page(sfu: Sfu, links: dict[str, ImpairedLink]) -> AsyncIterator[Page]:
    """Serve the page and open it in a browser."""
    app = make_app(sfu, PAGE, lambda protocol, answer: links[protocol].redirect(answer))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HERE, 0).start()
    port = runner.addresses[0][1]
    try:
        with tempfile.TemporaryDirectory(prefix="sf-glass-") as profile:
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch_persistent_context(
                    profile, executable_path=CHROMIUM, headless=True, args=list(ARGUMENTS)
                )
                page = await browser.new_page()
                await page.goto(f"http://localhost:{port}/")
                yield page
                await browser.close()
    finally:
        await runner.cleanup()
