"""Grants that stopped counting: also by what happened before an edge began."""

from __future__ import annotations

import uuid

import pytest

from kit.clock import ManualClock
from kit.ids import make_id
from serve_apps.access.grants import Grant
from serve_apps.edge.access_book import AccessBook
from serve_apps.edge.grant_checks import GrantChecks
from storage.database import Database
from storage.subscriptions import NewSubscription, end_subscription, put_subscription
from storage.users import find_access_version
from tests.storage.live_rows import create_user_row

pytestmark = pytest.mark.db

KEEP_S = 600.0


async def give_grant(database: Database, viewer: uuid.UUID | None) -> Grant:
    version = 0
    if viewer is not None:
        async with database.connection() as connection:
            version = await find_access_version(connection, viewer)
    return Grant(make_id(), viewer, None, 1, 0.0, version)


async def test_who_lost_a_right_needs_a_new_grant_also_at_an_edge_that_began_later(
    database: Database, clock: ManualClock
) -> None:
    async with database.connection() as connection:
        ada, bob, cyd = [await create_user_row(connection, name) for name in ("ada", "bob", "cyd")]
        for subscriber in (bob, cyd):
            gift = NewSubscription(make_id(), ada, subscriber, "gift", None)
            await put_subscription(connection, gift)
    before = [await give_grant(database, viewer) for viewer in (bob, cyd, None)]
    async with database.connection() as connection:
        await end_subscription(connection, ada, bob, "gift")
        await connection.execute(
            "UPDATE users SET access_changed_at = now() - interval '5 minutes' WHERE id = $1", bob
        )
    book = AccessBook(database, clock, KEEP_S)
    checks = GrantChecks(set[uuid.UUID]().__contains__, book)
    for _ in range(2):
        await book.load()
    assert [checks.is_void(grant) for grant in before] == [True, False, False]
    assert not checks.is_void(await give_grant(database, bob)), "by what they still may"


async def test_a_revoked_login_voids_its_grants(database: Database, clock: ManualClock) -> None:
    session = make_id()
    checks = GrantChecks({session}.__contains__, AccessBook(database, clock))
    grants = [Grant(make_id(), make_id(), login, 1, 0.0) for login in (session, make_id())]
    assert [checks.is_void(grant) for grant in grants] == [True, False]
