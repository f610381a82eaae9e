"""Whole hosts: taking one out of service and back, put on record first and then asked of the host
itself; and asking one what it runs at this moment.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from actors.hosting.messages import ObjectFacts
from kit.cursors import Page, cut_page, read_id_cursor
from kit.errors import Conflict, NotFound, Unavailable
from kit.ids import make_id
from serve_apps.access.identity import Identity
from serve_apps.http.state import ApiPorts, HostAway
from storage import survey
from storage.audit import AuditDraft, append_audit
from storage.hosts import list_live_hosts
from storage.survey import HostSurvey

FENCED = "fenced"


class HostNotFound(NotFound):
    """This site never had such a host."""

    code, message = "host_not_found", "There is no such host."


class LastHost(Conflict):
    """Nothing would be left to run rooms."""

    code, message = "last_host", "This is the only host in service; bring another one up first."


@dataclass(frozen=True)
class HostReport:
    """A host as the database knows it, and whether it rests: it was drained and can come back."""

    host: HostSurvey
    is_resting: bool


async def list_hosts(ports: ApiPorts) -> list[HostReport]:
    """Return every host of this site; those whose lease is over are asked whether they rest."""
    async with ports.database.connection() as connection:
        hosts = await survey.list_hosts(connection)
    over = [host.id for host in hosts if host.state == FENCED]
    answers = await asyncio.gather(*(ports.hosts.is_resting(host_id) for host_id in over))
    resting = dict(zip(over, answers, strict=True))
    return [HostReport(host, resting.get(host.id, False)) for host in hosts]


async def drain_host(ports: ApiPorts, caller: Identity, host_id: str) -> None:
    """Have a host hand over what it runs and rest; raises HostNotFound, LastHost, HostAway.

    The record says what was asked for, also when it did not come about.
    """
    async with ports.database.transaction() as connection:
        hosts = await survey.list_hosts(connection)
        if host_id not in {host.id for host in hosts}:
            raise HostNotFound
        if not any(host.id != host_id and is_in_service(host) for host in hosts):
            raise LastHost
        draft = AuditDraft(make_id(), caller.user_id, "host.drain", f"host:{host_id}", {})
        await append_audit(connection, draft, ports.clock.now())
    await ports.hosts.drain(host_id)


async def resume_host(ports: ApiPorts, caller: Identity, host_id: str) -> None:
    """Have a drained host serve again; raises HostNotFound, HostAway."""
    async with ports.database.transaction() as connection:
        hosts = await survey.list_hosts(connection)
        if host_id not in {host.id for host in hosts}:
            raise HostNotFound
        draft = AuditDraft(make_id(), caller.user_id, "host.resume", f"host:{host_id}", {})
        await append_audit(connection, draft, ports.clock.now())
    await ports.hosts.resume(host_id)


async def survey_host(
    ports: ApiPorts, host_id: str, *, cursor: str | None, limit: int
) -> Page[ObjectFacts]:
    """Ask a host which rooms it runs, in order of ids; raises HostNotFound, HostAway."""
    after = read_id_cursor(cursor)
    async with ports.database.connection() as connection:
        entries = {entry.id: entry for entry in await list_live_hosts(connection)}
        if host_id not in entries:
            known = {host.id for host in await survey.list_hosts(connection)}
            raise HostAway if host_id in known else HostNotFound
    try:
        found = await ports.rooms.survey(entries[host_id], after=after, limit=limit + 1)
    except Unavailable as error:
        raise HostAway(host=host_id) from error
    return cut_page(found, limit, lambda facts: (str(facts.id),))


def is_in_service(host: HostSurvey) -> bool:
    """Say whether a host takes objects."""
    return host.state == "live" and host.lease_left_s >= 0
