"""One seed: a site, what people do there, what befalls it, and whether it keeps its promises."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from collections.abc import Awaitable, Callable, Iterable

from actors.hosting.client import ObjectUnanswered
from actors.hosting.core import ObjectKey
from actors.hosting.followed import RequestFailed
from actors.hosting.host import Host
from actors.live_room.entries import RoomStatus
from actors.live_room.messages import PublisherUp
from kit.errors import AppError
from storage.placements import FEED, ROOM
from tests.actors.hosting.sim.history import History, ProtocolBroken
from tests.actors.hosting.sim.kinds import read_room_facts, read_shown
from tests.actors.hosting.sim.logs import hearing_errors
from tests.actors.hosting.sim.people import ask
from tests.actors.hosting.sim.plan import Fault, Plan, Publication, Visit, draw_plan
from tests.actors.hosting.sim.server import ObjectRow
from tests.actors.hosting.sim.site import Parts, Process, Site

SETTLE_MAX_S = 30.0
"""How long after the last fault everything must be answered and visible."""
LOOK_EVERY_S = 0.1
CLIENTS_START_S = 0.2
"""Before the last hosts, and after the first: where nobody is yet they ask and ask."""
PARTS = Parts()
Work = Callable[[Process], Awaitable[None]]


class World:
    """Runs one plan."""

    def __init__(self, plan: Plan, parts: Parts = PARTS, *, is_traced: bool = False) -> None:
        self.plan = plan
        self.trace: list[str] = []
        self._is_traced = is_traced
        self.history = History(self.note if is_traced else None)
        self.site = Site(plan, parts, self.history)
        self.history.on_broken = self._stop
        self.history.believes_lease = self.site.believes_lease
        self._open = 0
        """Lines and endings that await their acknowledgement."""

    def note(self, text: str) -> None:
        """Remember what happened, when somebody will read it."""
        if self._is_traced:
            self.trace.append(f"{self.site.timeline.now_s:9.4f}  {text}")

    def _stop(self) -> None:
        self.site.timeline.is_stopped = True

    def run(self) -> None:
        """Run the plan; raises ProtocolBroken."""
        plan, timeline = self.plan, self.site.timeline
        for number, start_s in enumerate(plan.starts_s):
            timeline.at(start_s, self.site.start_host, f"host-{number}")
        for name in plan.clients:
            timeline.at(CLIENTS_START_S, self.site.start_client, name)
        for line in plan.lines:
            timeline.at(line.at_s, self._ask, line.client, lambda p, i=line: ask(self, p, i))
        for show in plan.publications:
            timeline.at(show.at_s, self._publish, show)
        for at_s, number in plan.endings:
            timeline.at(at_s, self._ask, "api-0", lambda p, n=number: self._end(p, n))
        for visit in plan.visits:
            timeline.at(visit.at_s, self._visit, visit)
        for fault in plan.faults:
            timeline.at(fault.at_s, self._befall, fault)
        timeline.run(plan.ends_s)
        self._check_history()
        self.note("all faults end")
        self.site.heal()
        self._settle()
        self._check_rows()
        for context in self.site.list_errors():
            raise ProtocolBroken(str(context)) from context.get("exception")

    def _check_history(self) -> None:
        if self.history.broken is not None:
            raise ProtocolBroken(self.history.broken)

    def _settle(self) -> None:
        """Wait until everything is answered and visible, and late statements have come."""
        timeline, server = self.site.timeline, self.site.server
        until_s = timeline.now_s + SETTLE_MAX_S
        has_been_quiet = False
        while True:
            timeline.run(timeline.now_s + LOOK_EVERY_S)
            self._check_history()
            behind = self.history.list_behind(self.site.followed)
            if not (behind or self._open or server.is_busy):
                behind = self._list_forgetful()
            is_quiet = not behind and not self._open and not server.is_busy
            if is_quiet and has_been_quiet:
                return
            has_been_quiet = is_quiet
            if timeline.now_s >= until_s:
                if self._open:
                    behind.append(f"{self._open} requests are not acknowledged")
                raise ProtocolBroken("; ".join(behind))

    def _check_rows(self) -> None:
        """Each room's status is the one its last state entry tells."""
        for key, row in self._list_rows(ROOM):
            told = [entry.body["status"] for entry in row.entries if entry.kind == "state"]
            status = str(read_room_facts(row).status)
            if (told[-1] if told else "created") != status:
                raise ProtocolBroken(f"{key} is {status} and its entries tell {told}")

    def _list_rows(self, kind: str) -> list[tuple[ObjectKey, ObjectRow]]:
        return [(key, row) for key, row in self.site.server.objects.items() if key.kind == kind]

    def _list_forgetful(self) -> list[str]:
        """Return the rankers that run at their owner and know otherwise than their rows tell."""
        return [
            f"the ranker {key.id.int} knows other posts than its rows"
            for key, row in self._list_rows(FEED)
            for process in self.site.hosts.values()
            if process.host is not None
            and self.site.server.placements.get(key)
            == (process.host.host_id, process.host.incarnation)
            for core in process.host.list_cores(FEED)
            if core.id == key.id and core.snapshot()[0].data["posts"] != read_shown(row)
        ]

    # What people do

    def _ask(self, client: str, begin: Work) -> None:
        process = self.site.clients.get(client)
        if process is None or process.client is None:
            return
        self._open += 1
        process.loop.spawn(self._count(process, begin), "asker")

    async def _count(self, process: Process, work: Work) -> None:
        await work(process)
        self._open -= 1

    async def _end(self, process: Process, number: int) -> None:
        """End a broadcast, asking until it is done."""
        key = self.site.keys[number]
        assert process.rooms is not None, "begun"
        while True:
            try:
                await process.rooms.end_live(key.id)
            except (RequestFailed, ObjectUnanswered):
                await asyncio.sleep(0.2)
            else:
                break
        status = read_room_facts(self.site.server.objects[key]).status
        self.note(f"{process.loop.name}: {key.id.int} ended")
        if status != RoomStatus.ENDED:
            self.history.fail(f"{key} was said to be ended and is {status}")

    def _visit(self, visit: Visit) -> None:
        process = self.site.clients.get(visit.client)
        if process is not None and process.client is not None:
            step = self.site.follow if visit.is_coming else self.site.unfollow
            key = self.site.keys[visit.object]
            process.loop.deliver(self.site.timeline.now_s, step, process, key)

    def _publish(self, show: Publication) -> None:
        process = self.site.clients.get(show.client)
        if process is not None and process.rooms is not None:
            process.loop.spawn(self._show(process, show), "publisher")

    async def _show(self, process: Process, show: Publication) -> None:
        room_id = self.site.keys[show.object].id
        assert process.rooms is not None, "begun"
        process.rooms.report_publisher(room_id, PublisherUp(show.session_id, {}))
        await asyncio.sleep(show.lasts_s)
        process.rooms.report_publisher_lost(room_id, show.session_id, "left")

    # What befalls them

    def _befall(self, fault: Fault) -> None:
        self.note(f"fault: {fault.kind} {fault.target} {fault.other} for {fault.lasts_s:.2f} s")
        getattr(self, f"_begin_{fault.kind}")(fault)
        end = getattr(self, f"_end_{fault.kind}", None)
        if end is not None:
            self.site.timeline.after(fault.lasts_s, end, fault)

    def _begin_pause(self, fault: Fault) -> None:
        self.site.pause(fault.target)

    def _end_pause(self, fault: Fault) -> None:
        process = self.site.find(fault.target)
        if process is not None and process.loop.is_paused:
            self.note(f"{fault.target} goes on")
            process.loop.resume()

    def _begin_kill(self, fault: Fault) -> None:
        process = self.site.find(fault.target)
        if process is not None:
            # What a dead client asked for is nobody's any more.
            self._open -= process.loop.count_pending("asker")
            self.site.kill(fault.target)

    def _end_kill(self, fault: Fault) -> None:
        if self.site.find(fault.target) is None:
            if fault.target.startswith("host"):
                self.site.start_host(fault.target)
            else:
                self.site.start_client(fault.target)

    def _begin_drain(self, fault: Fault) -> None:
        process = self.site.hosts.get(fault.target)
        if process is not None and process.host is not None:
            process.loop.spawn(process.host.drain(fault.lasts_s), "drain")

    def _begin_move(self, fault: Fault) -> None:
        """An operator wants everything on one host."""
        for process in self.site.hosts.values():
            if process.host is not None:
                process.loop.spawn(self._move(process.host, fault.target), "move")

    async def _move(self, host: Host, target: str) -> None:
        for key in self.site.keys:
            with contextlib.suppress(AppError):
                await host.move_object(key, target)
                self.note(f"{host.host_id}: {key.id.int} moved to {target}")

    def _begin_unplug(self, fault: Fault) -> None:
        process = self.site.find(fault.target)
        if process is not None:
            process.store.cut()

    def _end_unplug(self, fault: Fault) -> None:
        process = self.site.find(fault.target)
        if process is not None:
            process.store.mend()

    def _begin_outage(self, fault: Fault) -> None:
        for process in self.site.processes:
            process.store.cut()
        if fault.target == "restart":
            self.site.server.restart()

    def _end_outage(self, fault: Fault) -> None:
        if fault.target == "restart":
            self.site.server.restart()
        for process in self.site.processes:
            process.store.mend()

    def _begin_stall(self, fault: Fault) -> None:
        self.site.network.stall(fault.target, fault.other)

    def _end_stall(self, fault: Fault) -> None:
        self.site.network.unstall(fault.target, fault.other)

    def _begin_reset(self, fault: Fault) -> None:
        self.site.network.reset(fault.target, fault.other)


def run_seed(seed: int, parts: Parts = PARTS) -> str | None:
    """Run one seed; return what was broken, or None."""
    world = World(draw_plan(seed), parts)
    try:
        with hearing_errors() as errors:
            world.run()
        if errors:
            return f"logged as an error: {errors[0]}"
    except ProtocolBroken as broken:
        return str(broken)
    finally:
        world.site.close()
    return None


def find_broken(seeds: Iterable[int], parts: Parts = PARTS) -> tuple[int, str] | None:
    """Run seeds until one is broken; return it and what was broken."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()  # what a collection unwinds must not fall into the middle of a seed
    try:
        for seed in seeds:
            broken = run_seed(seed, parts)
            if broken is not None:
                return seed, broken
            # While the seed's objects are in the processor's cache: after a hundred seeds each
            # costs six times as much to unwind. All of them are young, and a collection of older
            # ones would also give up what Python keeps at hand for the next floats and frames.
            gc.collect(0)
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
    return None


def main(arguments: list[str]) -> int:
    """Replay one seed and print what happened."""
    world = World(draw_plan(int(arguments[0])), is_traced=True)
    try:
        with hearing_errors(note=world.note):
            world.run()
    except ProtocolBroken as broken:
        world.note(f"BROKEN: {broken}")
        return 1
    finally:
        world.site.close()
        print("\n".join([str(world.plan), *world.trace]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
