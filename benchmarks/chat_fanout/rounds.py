"""One round of one side: a server, an audience in a process of its own, and the server's CPU time.

The product runs once for all rounds; a peer is started for each of its rounds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp

from benchmarks.chat_fanout.peers import Peer, run_fastapi, run_nchan, run_ws
from benchmarks.children import run_child
from benchmarks.frame import Answer, Form, Side, Sides
from benchmarks.meters import CpuMeter, list_process_family, list_product_processes
from benchmarks.products import Products
from tests.e2e.load import call, register
from tests.product import Product

VIEWERS, VIEWERS_SHORT = 1000, 100
SECONDS, SECONDS_SHORT = 5.0, 1.0
RATES = (20, 60)
"""The higher one, where lines share frames, is asked of us and nchan alone."""
SPEAKERS = 4
PATH = ("edge", "host", "postgres")
"""The parts that a line passes through."""
EVENT_BYTES = 420
"""What peers hand on when they run without us; else exactly as many bytes as ours."""


@dataclass
class Course:
    """What rounds share: the running product, its room and speakers, the size of our events."""

    product: Product
    room: str = ""
    socket_url: str = ""
    tokens: tuple[str, ...] = ()
    event_bytes: int = EVENT_BYTES


@asynccontextmanager
async def open_course(_form: Form, products: Products) -> AsyncIterator[Sides]:
    """Prepare a room and its speakers; lend all sides."""
    options = {"limits_chat_per_10_s_max": "1000000", "limits_rates_enabled": "false"}
    async with products(**options) as product:
        course = Course(product)
        await prepare_room(course)
        yield make_sides(course)


async def prepare_room(course: Course) -> None:
    """Register the speakers and create the room they speak in."""
    url = course.product.url
    async with aiohttp.ClientSession() as session:
        people = [await register(session, url, "speaker") for _ in range(SPEAKERS)]
        body = {"title": "Benchmark"}
        status, live = await call(
            session, "POST", f"{url}/v1/live", json=body, headers=people[0].headers
        )
        assert status == 201, live
    course.room, course.socket_url = live["id"], live["chat"]["socket"]
    course.tokens = tuple(one.token for one in people)


def make_sides(course: Course) -> dict[str, Side]:
    """Return ours and every peer, at every rate it is asked at."""
    few, many = RATES
    return {
        f"ours {few}/s": make_own_side(course, few),
        f"nchan {few}/s": make_peer_side(course, run_nchan, few),
        f"ws {few}/s": make_peer_side(course, run_ws, few),
        f"fastapi {few}/s": make_peer_side(course, run_fastapi, few),
        f"ours {many}/s": make_own_side(course, many),
        f"nchan {many}/s": make_peer_side(course, run_nchan, many),
    }


def make_own_side(course: Course, per_s: int) -> Side:
    """Return the product at a rate: the whole path, PostgreSQL included."""

    async def measure(form: Form) -> Answer:
        task = {
            "url": course.socket_url,
            "send_url": course.socket_url,
            "room": course.room,
            "tokens": course.tokens,
            **choose_load(form, per_s),
        }
        list_parts = partial(list_product_processes, course.product)
        answer, heard = await gather_audience(task, list_parts, PATH)
        course.event_bytes = heard["event_bytes"] or course.event_bytes
        assert heard["acknowledged"] == heard["sent"], f"refused: {heard['refused']}"
        return answer

    return measure


def make_peer_side(
    course: Course, run: Callable[[], AbstractAsyncContextManager[Peer]], per_s: int
) -> Side:
    """Return a peer at a rate: its fan-out alone."""

    async def measure(form: Form) -> Answer:
        async with run() as peer:
            task = {
                "url": peer.url,
                "send_url": peer.send_url,
                "event_bytes": course.event_bytes,
                **choose_load(form, per_s),
            }
            list_parts = partial(_list_peer, peer)
            return (await gather_audience(task, list_parts, ("peer",)))[0]

    return measure


def _list_peer(peer: Peer) -> dict[str, list[int]]:
    return {"peer": list_process_family(peer.pid)}


def choose_load(form: Form, per_s: int) -> dict[str, float]:
    """Return how many listen and how long is spoken."""
    return {
        "viewers": form.choose(VIEWERS, VIEWERS_SHORT),
        "seconds": form.choose(SECONDS, SECONDS_SHORT),
        "per_s": per_s,
    }


async def gather_audience(
    task: dict[str, Any], list_parts: Callable[[], dict[str, list[int]]], counted: tuple[str, ...]
) -> tuple[Answer, dict[str, Any]]:
    """Run an audience; return the figures, with the CPU of `counted` parts, and what was heard.

    Processes are listed once all sockets are open: a peer listens before its workers run.
    """
    async with run_child("benchmarks.chat_fanout.audience") as audience:
        await audience.ask(task)
        meter = CpuMeter(await asyncio.to_thread(list_parts))
        heard = await audience.ask({})
        spent_s = meter.read()
    return make_answer(task, heard, spent_s, counted), heard


def make_answer(
    task: dict[str, Any], heard: dict[str, Any], spent_s: dict[str, float], counted: tuple[str, ...]
) -> Answer:
    """Put the figures together; the work is that everybody heard everything once, in order."""
    thousands = heard["sent"] * task["viewers"] / 1000
    is_whole = not heard["astray"] and not heard["faults"]
    wrong = f"{heard['astray']} deliveries astray, {heard['faults']} out of order"
    return Answer(
        figures={
            "cpu_ms_per_1000": sum(spent_s[part] for part in counted) * 1000 / thousands,
            "p50_ms": heard["p50_ms"],
            "p99_ms": heard["p99_ms"],
            "messages_per_frame": heard["sent"] / max(1, heard["frames"]),
            "event_bytes": heard["event_bytes"],
            "audience_cpu_ms_per_1000": heard["cpu_s"] * 1000 / thousands,
        },
        work="every message reached every socket once, in order" if is_whole else wrong,
        breakdowns={
            "CPU ms per 1,000 deliveries": {
                part: used_s * 1000 / thousands for part, used_s in spent_s.items()
            }
        },
    )
