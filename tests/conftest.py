"""Fixtures shared by all tests: real servers in temporary folders, a clock a test owns.

The servers start once per run, on free ports, and never touch a product that is running.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.clock import ManualClock
from kit.setting_sections import (
    AuthSettings,
    CacheSettings,
    ClusterSettings,
    DatabaseSettings,
    HostSettings,
)
from kit.settings import Settings
from storage.cache import Cache
from storage.database import Database, PoolOptions
from storage.embedded.postgres import PostgresOptions, PostgresServer, start_postgres, stop_postgres
from storage.embedded.valkey import ValkeyOptions, ValkeyServer, start_valkey, stop_valkey
from storage.objects import ObjectStore
from storage.schema import migrate
from tests.databases import copy_template, drop_database
from tests.folders import make_folder, remove_left_folders

# A busy machine is slow, not wrong; pytest's timeout bounds every test.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

WAIT_S = 60.0
"""The product gives a silent server up after a second or two; a busy machine's tests wait."""
# Drawing a traceback with all its values takes a tenth of a second and more of the event loop.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

CATEGORIES = {"unit", "long", "db", "ray", "media", "browser", "gpu"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --no-skips: continuous integration must run everything it names."""
    parser.addoption("--no-skips", action="store_true", help="fail when a test is skipped")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure under --no-skips; only an accelerator may be missing."""
    report = yield
    if (
        report.skipped
        and item.config.getoption("--no-skips")
        and not item.get_closest_marker("gpu")
    ):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: {report.longrepr}"
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a test without exactly one category; those in Chromium come last in their folder.

    From the first of them on Playwright has a loop in this thread, and no other one can be there.
    """
    places: dict[Path, int] = {}
    for item in items:
        found = {mark.name for mark in item.iter_markers()} & CATEGORIES
        if len(found) != 1:
            raise pytest.UsageError(f"{item.nodeid} has categories {sorted(found)}, not one")
        places.setdefault(item.path.parent, len(places))
    items.sort(key=lambda i: (places[i.path.parent], i.get_closest_marker("browser") is not None))


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Lend a short folder that every user may enter: the servers' sockets and data."""
    remove_left_folders()
    folder = make_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[PostgresServer]:
    """Start PostgreSQL once per run."""
    root = server_folder / "pg"
    yield start_postgres(PostgresOptions(root=root))
    stop_postgres(root, immediate=True)


@pytest.fixture(scope="session")
def template_ready() -> dict[str, bool]:
    """Remember whether the template database has been migrated in this run."""
    return {}


@pytest.fixture
async def database_dsn(
    postgres: PostgresServer, template_ready: dict[str, bool]
) -> AsyncIterator[str]:
    """Lend the address of a fresh, migrated database."""
    if not template_ready:
        await migrate(postgres.dsn)
        template_ready["done"] = True
    name = f"t_{secrets.token_hex(6)}"
    yield await copy_template(postgres, name)
    await drop_database(postgres, name)


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[Database]:
    """Lend an open pool on a fresh, migrated database."""
    options = PoolOptions(size=8, wait_s=WAIT_S, name="test", idle_in_transaction_max_s=WAIT_S)
    pool = Database(database_dsn, options)
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture(scope="session")
def valkey(server_folder: Path) -> Iterator[ValkeyServer]:
    """Start the cache server once per run."""
    root = server_folder / "vk"
    yield start_valkey(ValkeyOptions(root=root, role="cache", maxmemory_mb=64))
    stop_valkey(root)


@pytest.fixture
async def cache(valkey: ValkeyServer) -> AsyncIterator[Cache]:
    """Lend an open, empty cache."""
    lent = Cache(valkey.url, WAIT_S)
    await lent.open()
    await lent.flush()
    yield lent
    await lent.close()


@pytest.fixture
def cache_url(valkey: ValkeyServer, cache: Cache) -> str:
    """Lend the address of an empty cache."""
    return valkey.url


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    """Lend an empty local object store."""
    folder = tmp_path / "objects"
    folder.mkdir()
    return ObjectStore.open(f"file://{folder}")


@pytest.fixture
def clock() -> ManualClock:
    """Lend a clock that stands still."""
    return ManualClock()


@pytest.fixture(scope="session")
def auth_settings() -> AuthSettings:
    """Lend keys made for this run."""
    key = Ed25519PrivateKey.generate()
    return AuthSettings(
        token_key=secrets.token_hex(32),
        content_key=secrets.token_hex(32),
        grant_private_key=key.private_bytes_raw().hex(),
        grant_public_key=key.public_key()
        .public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        .hex(),
    )


@pytest.fixture
def home() -> Iterator[Path]:
    """Lend a short home folder: Unix socket paths must stay below 107 bytes."""
    folder = make_folder()
    (folder / "run").mkdir(mode=0o700)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def settings(
    home: Path, database_dsn: str, cache_url: str, auth_settings: AuthSettings
) -> Settings:
    """Lend settings that name this test's servers and folders."""
    return Settings(
        home=home,
        auth=auth_settings,
        database=DatabaseSettings(url=database_dsn, wait_s=WAIT_S),
        hosts=HostSettings(lease_ttl_s=WAIT_S),
        cache=CacheSettings(url=cache_url),
        cluster=ClusterSettings(key=secrets.token_hex(32)),
    )
