"""The embedded servers as the supervisor sees them: one shape for PostgreSQL and both Valkeys.

A server whose address the settings give is not ours: it is never started nor stopped. Blocking:
run in a thread.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from cluster.home import Home
from cluster.topology import is_head, list_reserved_ports
from kit.settings import Settings
from storage.embedded.postgres import (
    PostgresOptions,
    PostgresServer,
    find_postgres,
    start_postgres,
    stop_postgres,
)
from storage.embedded.valkey import (
    ValkeyOptions,
    ValkeyServer,
    find_valkey,
    start_valkey,
    stop_valkey,
)

POSTGRES, CACHE, STORE = "postgres", "cache", "ray-store"
TITLES = {POSTGRES: "PostgreSQL", CACHE: "Valkey (cache)", STORE: "Valkey (Ray's state)"}
Server = PostgresServer | ValkeyServer


@dataclass(frozen=True)
class Servers:
    """Starts, finds and stops the embedded servers of an installation by name."""

    home: Home
    settings: Settings

    def list_names(self) -> list[str]:
        """List the servers this installation runs itself."""
        names = []
        if not self.settings.database.url:
            names.append(POSTGRES)
        if not self.settings.cache.url:
            names.append(CACHE)
        if is_head(self.settings) and not self.settings.cluster.ray_address:
            names.append(STORE)
        return names

    def start(self, name: str, *, port: int | None = None) -> Server:
        """Start the server or join the running one; raises storage.embedded's errors.

        `port` is for a restart under processes that know the address; else the last one is used.
        """
        # Whoever listens on these has not begun, and would find them taken.
        reserved = list_reserved_ports(self.settings)
        if name == POSTGRES:
            root = self.home.postgres
            return start_postgres(PostgresOptions(root, port, reserved_ports=reserved))
        if name == CACHE:
            memory_mb = self.settings.cache.maxmemory_mb
            return start_valkey(
                ValkeyOptions(self.home.cache, "cache", port, memory_mb, reserved_ports=reserved)
            )
        return start_valkey(
            ValkeyOptions(self.home.ray_store, "gcs", port, reserved_ports=reserved)
        )

    def find(self, name: str) -> Server | None:
        """Return the server when it answers."""
        if name == POSTGRES:
            return find_postgres(self.home.postgres)
        return find_valkey(self.home.cache if name == CACHE else self.home.ray_store)

    def stop(self, name: str, *, immediate: bool) -> bool:
        """Stop the server; False when it did not run."""
        if name == POSTGRES:
            return stop_postgres(self.home.postgres, immediate=immediate)
        root = self.home.cache if name == CACHE else self.home.ray_store
        return stop_valkey(root, immediate=immediate)

    def empty_store(self) -> None:
        """Forget what an earlier Ray left behind, so that none of its actors returns."""
        stop_valkey(self.home.ray_store, immediate=True)
        shutil.rmtree(self.home.ray_store, ignore_errors=True)
