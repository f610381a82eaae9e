"""What befalls a simulated site: drawn from a seed before anything runs.

Each seed uses only some kinds of faults, so that each meets the others rarely alone and rarely in
a crowd.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, replace

import msgspec

from actors.hosting.ports import HostPace
from storage.placements import FEED, USER
from tests.actors.hosting.sim.store import Wire


class Line(msgspec.Struct, frozen=True):
    """Somebody says something, through one client; `client_id` may be used again.

    To a person's session it is a notice, to a ranker a page to be ordered: then it is a UUID.
    """

    at_s: float
    client: str
    object: int
    user: int
    client_id: str


class Publication(msgspec.Struct, frozen=True):
    """Media enters a room through a client for a while."""

    at_s: float
    client: str
    object: int
    session_id: str
    lasts_s: float


class Visit(msgspec.Struct, frozen=True):
    """A client begins to follow an object, or stops."""

    at_s: float
    client: str
    object: int
    is_coming: bool


class Fault(msgspec.Struct, frozen=True):
    """Something that begins and ends; `other` is the receiver where a link is meant."""

    at_s: float
    kind: str
    target: str
    other: str
    lasts_s: float


@dataclass(frozen=True)
class Plan:
    """One site and its fate."""

    seed: int
    hosts: int
    objects: int
    """Rooms; they have the first numbers."""
    others: list[str]
    """The kinds of the objects after them."""
    clients: list[str]
    ttl_s: float
    idle_max_s: float
    starts_s: list[float]
    clocks: dict[str, tuple[float, float]]
    """Rate and offset of each process's clock."""
    follows: dict[str, list[int]]
    visits: list[Visit]
    """Who comes and goes later; in a lull nobody follows anything for a while."""
    lines: list[Line]
    publications: list[Publication]
    endings: list[tuple[float, int]]
    faults: list[Fault]
    wire: Wire
    ends_s: float

    def list_followed(self) -> list[int]:
        """Return the objects that edges may follow: nobody follows a ranker."""
        users = (n for n, kind in enumerate(self.others, self.objects) if kind == USER)
        return [*range(self.objects), *users]

    def make_wire(self) -> Wire:
        """Return a process's own way to the database."""
        return replace(self.wire)


LINES_MIN = 8
BURST_MAX, BURST_S = 3, 0.06
"""Lines come together, so that some wait while others are being stored."""
ANYTIME_P, MEANWHILE_P = 0.3, 0.4
"""How many come whatever befalls the site, and how many while it does; the rest, right before."""
OTHERS_P = {USER: 0.15, FEED: 0.08}
"""How often a site has a person's session, and a reader's ranker."""
LULL_P = 0.02
LULL_IDLE_MAX_S = 15.0
"""Where there is a lull, hosts give up what nobody wants sooner than elsewhere: it costs less."""
AWAY = ("unplug", "outage")
"""Faults in which storage is away: what is said then is refused, or nobody knows."""
FAULTS = ("pause", "kill", "drain", "move", "unplug", "outage", "stall", "reset")
LASTING_S = {
    "pause": (1.5, 7.0),
    "kill": (0.2, 4.0),
    "drain": (0.5, 3.0),
    "move": (0.0, 0.0),
    "unplug": (0.5, 7.0),
    "outage": (0.05, 4.0),
    "stall": (0.5, 6.0),
    "reset": (0.0, 0.0),
}


def draw_plan(seed: int) -> Plan:
    """Draw the site and its fate."""
    dice = random.Random(f"plan {seed}")
    hosts, objects, ttl_s = dice.choice((2, 2, 3)), dice.choice((1, 2)), dice.choice((2.5, 5.0))
    clients = ["edge-0", "edge-1"]
    ends_s = dice.uniform(2.0, 4.0) + ttl_s * dice.choice((0.0, 0.5, 1.0))
    endings = [(dice.uniform(1.0, ends_s), 0)] if dice.random() < 0.1 else []
    other_dice = random.Random(f"others {seed}")
    others = [kind for kind, chance in OTHERS_P.items() if other_dice.random() < chance]
    if endings or others:
        clients.append("api-0")
    hosts_names = [f"host-{n}" for n in range(hosts)]
    faults = _draw_faults(dice, hosts_names, clients, ends_s)
    is_skewed = dice.random() < 0.75
    plan = Plan(
        seed=seed,
        hosts=hosts,
        objects=objects,
        others=others,
        clients=clients,
        ttl_s=ttl_s,
        idle_max_s=HostPace().idle_max_s,
        starts_s=[dice.uniform(0, 0.3) for _ in range(hosts)],
        clocks={
            name: (
                dice.choice((0.85, 0.85, 1.0, 1.15)) if is_skewed else 1.0,
                dice.uniform(0, 1000),
            )
            for name in [*hosts_names, *clients]
        },
        follows={
            name: [o for o in range(objects) if dice.random() < 0.8]
            for name in clients
            if name.startswith("edge")
        },
        visits=[],
        lines=_draw_lines(dice, clients, objects, (ends_s, faults)),
        publications=_draw_publications(dice, objects, ends_s),
        endings=endings,
        faults=faults,
        wire=_draw_wire(dice),
        ends_s=ends_s,
    )
    if others:
        plan = _add_others(other_dice, plan)
    return _add_lull(dice, plan) if dice.random() < LULL_P else plan


def _add_others(dice: random.Random, plan: Plan) -> Plan:
    """Let people be there and be told of things, and read their feeds."""
    lines = []
    for number, kind in enumerate(plan.others, plan.objects):
        for asked in range(dice.randint(3, 8)):
            at_s = dice.uniform(0.2, plan.ends_s)
            text = str(uuid.UUID(int=(number << 16) + (asked << 8)))
            line = Line(at_s, "api-0", number, 1, text)
            lines.append(line)
            if kind == USER and dice.random() < 0.15:
                lines.append(msgspec.structs.replace(line, at_s=at_s + dice.uniform(0, 2)))
    follows = {
        name: followed + [n for n in plan.list_followed()[plan.objects :] if dice.random() < 0.8]
        for name, followed in plan.follows.items()
    }
    return replace(plan, lines=plan.lines + lines, follows=follows)


def _add_lull(dice: random.Random, plan: Plan) -> Plan:
    """Let everybody leave for about as long as an idle object is kept, then go on.

    What is said and befalls then, half of it or more, falls into the time in which hosts give
    objects up; nothing is on air, which would keep them.
    """
    edges = [name for name in plan.clients if name.startswith("edge")]
    leaves_s = dice.uniform(1.0, plan.ends_s)
    slowest = min(plan.clocks[f"host-{number}"][0] for number in range(plan.hosts))
    pause_s = LULL_IDLE_MAX_S / slowest + dice.uniform(-1.5, 2.5)

    def put_off(at_s: float) -> float:
        stays = at_s < leaves_s and dice.random() < 0.5
        return at_s if stays else leaves_s + pause_s + at_s

    visits = []
    for name in edges:
        for number in plan.list_followed():
            comes_s = leaves_s + pause_s + dice.uniform(0.0, plan.ends_s)
            visits += [
                Visit(leaves_s + dice.uniform(0.0, 0.5), name, number, is_coming=False),
                Visit(comes_s, name, number, is_coming=True),
            ]
    return replace(
        plan,
        idle_max_s=LULL_IDLE_MAX_S,
        visits=visits,
        publications=[],
        lines=[msgspec.structs.replace(line, at_s=put_off(line.at_s)) for line in plan.lines],
        faults=[msgspec.structs.replace(fault, at_s=put_off(fault.at_s)) for fault in plan.faults],
        ends_s=leaves_s + pause_s + plan.ends_s,
    )


def _draw_lines(
    dice: random.Random, clients: list[str], objects: int, befalls: tuple[float, list[Fault]]
) -> list[Line]:
    """Draw who says what and when, a few lines at a time."""
    ends_s, faults = befalls
    edges = [name for name in clients if name.startswith("edge")]
    lines: list[Line] = []
    while len(lines) < LINES_MIN:
        burst_s, number = _draw_moment(dice, ends_s, faults), dice.randrange(objects)
        for _ in range(dice.randint(1, BURST_MAX)):
            at_s = burst_s + dice.uniform(0.0, BURST_S)
            line = Line(at_s, dice.choice(edges), number, 1, f"c{len(lines)}")
            lines.append(line)
            if dice.random() < 0.15:  # the same line again, at once or later, here or elsewhere
                again_s = at_s + (0.0 if dice.random() < 0.5 else dice.uniform(0, 2))
                lines.append(msgspec.structs.replace(line, at_s=again_s, client=dice.choice(edges)))
    return lines


def _draw_moment(dice: random.Random, ends_s: float, faults: list[Fault]) -> float:
    """Draw when something is said: most of it as something befalls the site, or meanwhile."""
    share = dice.random()
    if not faults or share < ANYTIME_P:
        return dice.uniform(0.2, ends_s)
    away = [fault for fault in faults if fault.kind in AWAY]
    fault = dice.choice(away if away and dice.random() < 0.5 else faults)
    if share < ANYTIME_P + MEANWHILE_P:
        return dice.uniform(fault.at_s, min(fault.at_s + fault.lasts_s + 0.1, ends_s))
    return fault.at_s - dice.uniform(0.0, BURST_S)


def _draw_publications(dice: random.Random, objects: int, ends_s: float) -> list[Publication]:
    if dice.random() < 0.7:
        return []
    return [
        Publication(
            dice.uniform(0.3, ends_s),
            "edge-0",
            dice.randrange(objects),
            f"s{n}",
            dice.uniform(0.5, 9),
        )
        for n in range(dice.randint(1, 2))
    ]


def _draw_faults(
    dice: random.Random, hosts: list[str], clients: list[str], ends_s: float
) -> list[Fault]:
    kinds = [kind for kind in FAULTS if dice.random() < 0.5]
    edges = [name for name in clients if name.startswith("edge")]
    faults = []
    for _ in range(dice.randint(2, 6) if kinds else 0):
        kind = dice.choice(kinds)
        target, other = dice.choice(hosts), ""
        if kind in ("pause", "unplug", "kill") and dice.random() < 0.2:
            target = dice.choice(clients)
        if kind == "outage":
            target = dice.choice(("restart", "network"))
        if kind in ("stall", "reset"):
            other = dice.choice(edges)
            if dice.random() < 0.5:
                target, other = other, target
        # Rather early: what a fault does to leases shows seconds later.
        at_s = 0.3 + dice.random() ** 1.5 * (ends_s - 1.3)
        lasts_s = dice.uniform(*LASTING_S[kind])
        faults.append(Fault(at_s, kind, target, other, lasts_s))
    return faults


def _draw_wire(dice: random.Random) -> Wire:
    wire = Wire()
    if dice.random() < 0.5:
        wire.lost_question_p = dice.choice((0.05, 0.1))
    if dice.random() < 0.5:
        wire.lost_answer_p = dice.choice((0.05, 0.15, 0.3))
        wire.late_max_s = dice.choice((0.5, 3.0))
    if dice.random() < 0.3:
        wire.delay_p, wire.late_max_s = 0.05, dice.choice((0.5, 3.0))
    if dice.random() < 0.5:
        wire.slow_commit_p, wire.slow_commit_max_s = 0.2, dice.choice((0.1, 1.0, 3.0))
    return wire
