"""Opens rooms by the thousand on one product, writes to all of them, and measures memory and CPU.

Asked once, in this order: few rooms; the same with half the lines, with more viewers, with a second
edge; many rooms. So each of the four varies by itself. Each is measured in several windows, of
which the medians count.
"""

from __future__ import annotations

import asyncio
import statistics
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import asyncpg

from benchmarks.children import Child, run_child
from benchmarks.frame import Answer, Form, Sides
from benchmarks.meters import CpuMeter, list_product_processes
from benchmarks.products import Products
from cluster.processes import read_pss_mb
from cluster.topology import EDGE_PORT_STEP
from tests.e2e.load import Account, register
from tests.product import Product

FEW, FEW_SHORT = 1000, 40
MANY, MANY_SHORT = 10_000, 120
VIEWERS = 5
ROOMS_PER_SOCKET = 200
SOCKETS_MIN = 40
"""A socket may say 50 words a second; the lines of few rooms need several."""
WRITE_EVERY_S = 10.0
WINDOWS, WINDOWS_SHORT = 5, 1
SECONDS, SECONDS_SHORT = 6.0, 1.5
PEOPLE = 10
OWNER = ("host", "postgres")
"""The parts whose work for a line does not depend on who listens."""
MEMORY = "kib_per_room"
KIB_PER_MB = 1024
HALF = 0.5
NAMES = (
    "few rooms",
    "half the lines",
    f"{VIEWERS} viewers each",
    "on two edges",
    "many rooms",
)


@dataclass
class House:
    """The product, those who talk in its rooms, and what the rooms opened last cost."""

    product: Product
    people: list[Account]
    stack: AsyncExitStack
    rooms: list[str] = field(default_factory=list)
    talkers: list[tuple[Child, int]] = field(default_factory=list)
    """Each with the number of its rooms."""
    kib_per_room: dict[str, float] = field(default_factory=dict)

    def find_socket_url(self, slot: int) -> str:
        """Return where sockets of an edge are opened."""
        edge = self.product.settings.edge
        return f"ws://{edge.public_host}:{edge.port + EDGE_PORT_STEP * slot}/ws"


@dataclass(frozen=True)
class Load:
    """How a side differs from the first one."""

    line_share: float = 1.0
    viewers: int = 1
    edges: int = 1


@asynccontextmanager
async def open_house(_form: Form, products: Products) -> AsyncIterator[Sides]:
    """Lend the sides of a house, to be run once and in order."""
    options = {
        "edge_count": "2",
        "limits_chat_per_10_s_max": "1000000",
        "limits_rates_enabled": "false",
    }
    async with products(**options) as product, AsyncExitStack() as stack:
        async with aiohttp.ClientSession() as session:
            people = [await register(session, product.url) for _ in range(PEOPLE)]
        house = House(product, people, stack)

        async def measure_few(form: Form) -> Answer:
            await open_rooms(house, form.choose(FEW, FEW_SHORT))
            return await measure(house, form, Load())

        async def measure_half(form: Form) -> Answer:
            return await measure(house, form, Load(line_share=HALF))

        async def measure_watched(form: Form) -> Answer:
            async with AsyncExitStack() as viewers:
                for _ in range(VIEWERS - 1):
                    await follow_rooms(house, house.rooms, viewers)
                return await measure(house, form, Load(viewers=VIEWERS))

        async def measure_two_edges(form: Form) -> Answer:
            async with AsyncExitStack() as viewers:
                await follow_rooms(house, house.rooms, viewers, slot=1)
                return await measure(house, form, Load(viewers=2, edges=2))

        async def measure_many(form: Form) -> Answer:
            await open_rooms(house, form.choose(MANY, MANY_SHORT) - len(house.rooms))
            return await measure(house, form, Load())

        sides = (measure_few, measure_half, measure_watched, measure_two_edges, measure_many)
        yield dict(zip(NAMES, sides, strict=True))


async def open_rooms(house: House, count: int) -> None:
    """Create rooms and follow them; note what each cost."""
    rooms = await create_rooms(house.product, house.people[0], count)
    before = await asyncio.to_thread(read_memory, house.product)
    house.talkers.append((await follow_rooms(house, rooms, house.stack), count))
    after = await asyncio.to_thread(read_memory, house.product)
    house.rooms += rooms
    house.kib_per_room = {part: (after[part] - before[part]) * KIB_PER_MB / count for part in after}


async def follow_rooms(
    house: House, rooms: list[str], stack: AsyncExitStack, *, slot: int = 0
) -> Child:
    """Start a process whose sockets follow the rooms, on the edge of this slot."""
    child = await stack.enter_async_context(run_child("benchmarks.many_rooms.talkers"))
    size = min(ROOMS_PER_SOCKET, -(-len(rooms) // SOCKETS_MIN))
    shares = [rooms[start : start + size] for start in range(0, len(rooms), size)]
    tokens = [one.token for one in house.people]
    await child.ask({"url": house.find_socket_url(slot), "tokens": tokens, "rooms": shares})
    return child


async def measure(house: House, form: Form, load: Load) -> Answer:
    """Write to all rooms for a while, again and again; return the medians."""
    windows = [
        await write_once(house, form, load) for _ in range(form.choose(WINDOWS, WINDOWS_SHORT))
    ]
    heard = [window for window, _ in windows]
    lines = sum(one["sent"] for one in heard)
    per_line_us = {
        part: statistics.median(spent[part] * 1e6 / one["sent"] for one, spent in windows)
        for part in windows[0][1]
    }
    per_s = choose_lines_per_s(form, load)
    return Answer(
        figures={
            "rooms": float(len(house.rooms)),
            "lines_per_s": per_s,
            "viewers_per_room": float(load.viewers),
            "edges": float(load.edges),
            MEMORY: sum(house.kib_per_room.values()),
            "p50_ms": statistics.median(one["p50_ms"] for one in heard),
            "p99_ms": statistics.median(one["p99_ms"] for one in heard),
            "owner_cpu_us_per_line": sum(per_line_us[part] for part in OWNER),
            "owner_cpu_ms_per_s": sum(per_line_us[part] for part in OWNER) * per_s / 1000,
            "edge_cpu_us_per_line": per_line_us["edge"],
        },
        work=f"{lines - sum(one['heard'] for one in heard)} lines astray, "
        f"{heard[-1]['faults']} out of order",
        breakdowns={"KiB per room": house.kib_per_room, "CPU us per line": per_line_us},
    )


def choose_lines_per_s(form: Form, load: Load) -> float:
    """Return how many lines are written to all rooms together."""
    return form.choose(MANY, MANY_SHORT) / WRITE_EVERY_S * load.line_share


async def write_once(
    house: House, form: Form, load: Load
) -> tuple[dict[str, float], dict[str, float]]:
    """Write for one window; return what was heard and the CPU seconds of every part."""
    seconds = form.choose(SECONDS, SECONDS_SHORT)
    per_s = choose_lines_per_s(form, load)
    meter = CpuMeter(await asyncio.to_thread(list_product_processes, house.product))
    per_room_s = per_s / len(house.rooms)
    reports = await asyncio.gather(
        *(
            child.ask({"per_s": per_room_s * rooms, "seconds": seconds})
            for child, rooms in house.talkers
        )
    )
    spent_s = meter.read()
    heard: dict[str, float] = {
        name: sum(report[name] for report in reports) for name in ("sent", "heard", "faults")
    }
    heard |= {name: max(report[name] for report in reports) for name in ("p50_ms", "p99_ms")}
    return heard, spent_s


async def create_rooms(product: Product, owner: Account, count: int) -> list[str]:
    """Write rows of lives, thousands at a time; the API would let nobody open so many."""
    rooms = [uuid.uuid4() for _ in range(count)]
    connection = await asyncpg.connect(product.settings.database.url, timeout=10)
    try:
        await connection.execute(
            "INSERT INTO lives (id, owner_id, title, key_hash, key_hint, epoch) "
            "SELECT id, $2::uuid, 'Benchmark', sha256(id::text::bytea), '', gen_random_uuid() "
            "FROM unnest($1::uuid[]) AS given (id)",
            rooms,
            owner.id,
        )
    finally:
        await connection.close()
    return [str(room) for room in rooms]


def read_memory(product: Product) -> dict[str, float]:
    """Return the PSS of edges and hosts in MiB."""
    return {
        part: sum(map(read_pss_mb, pids))
        for part, pids in list_product_processes(product).items()
        if part in {"edge", "host"}
    }
