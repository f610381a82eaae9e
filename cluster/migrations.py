"""Brings the database to this code's schema: `python -m cluster.migrations`, the DSN on stdin.

A process of its own, so that the supervisor does not keep the migration tools in memory.
"""

from __future__ import annotations

import asyncio
import json
import sys

from cluster.topology import DATABASE_REFUSED
from storage.schema import TooFewConnections, check_connections, migrate


def main() -> None:
    """Read {"dsn", "connections", "target"}; check, move the schema, print the revision.

    Target "" moves nothing: a machine that joins only checks.
    """
    request = json.load(sys.stdin)
    try:
        asyncio.run(check_connections(request["dsn"], request.get("connections", 1)))
    except TooFewConnections as error:
        sys.stderr.write(error.text)
        raise SystemExit(DATABASE_REFUSED) from error
    target = request.get("target", "head")
    if target:
        revision = asyncio.run(migrate(request["dsn"], target))
        sys.stdout.write(f"{revision or 'base'}\n")


if __name__ == "__main__":
    main()
