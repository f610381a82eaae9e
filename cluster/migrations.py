"""Brings the database to this code's schema: `python -m cluster.migrations`, the DSN on stdin.

A process of its own, so that the supervisor does not keep the migration tools in memory.
"""

from __future__ import annotations

import asyncio
import json
import sys

from storage.schema import migrate


def main() -> None:
    """Read {"dsn", "target"}, move the schema, print the revision."""
    request = json.load(sys.stdin)
    revision = asyncio.run(migrate(request["dsn"], request.get("target", "head")))
    sys.stdout.write(f"{revision or 'base'}\n")


if __name__ == "__main__":
    main()
