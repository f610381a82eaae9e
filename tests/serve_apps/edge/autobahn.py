"""Runs Autobahn|Testsuite on the echo: `python -m tests.serve_apps.edge.autobahn WSTEST`.

WSTEST is the suite's command in an environment of Python 2.7 (`pip install autobahntestsuite`),
which is why this is no test: `test_protocol.py` plays our own cases of the same sections. Prints
one line per case that did not pass and ends with 1 when there is one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from aiohttp import web

from serve_apps.edge.socket_echo import echo_frames

SECTIONS = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.1.1", "13.1.1")
PASSED = {"OK", "INFORMATIONAL", "UNIMPLEMENTED"}
"""UNIMPLEMENTED: compression (12, 13), which is not negotiated."""
TIMEOUT_S = 600.0


async def run_suite(wstest: str, folder: Path) -> dict[str, dict[str, str]]:
    """Run the suite against an echo on a free port; return its report by case."""
    app = web.Application()
    app.router.add_get("/ws/echo", echo_frames)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    orders = {
        "outdir": str(folder / "report"),
        "servers": [{"agent": "edge", "url": f"ws://127.0.0.1:{port}/ws/echo"}],
        "cases": SECTIONS,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    file = folder / "orders.json"
    file.write_text(json.dumps(orders))
    try:
        async with asyncio.timeout(TIMEOUT_S):
            suite = await asyncio.create_subprocess_exec(
                wstest, "-m", "fuzzingclient", "-s", str(file), stdout=asyncio.subprocess.DEVNULL
            )
            await suite.wait()
    finally:
        await runner.cleanup()
    report: dict[str, dict[str, str]] = json.loads((folder / "report" / "index.json").read_text())
    return report["edge"]  # type: ignore[return-value]  # by agent, then by case


def main() -> int:
    """Run, print what did not pass, and count."""
    with tempfile.TemporaryDirectory(prefix="sf-autobahn-") as folder:
        report = asyncio.run(run_suite(sys.argv[1], Path(folder)))
    failed = 0
    for name, outcome in report.items():
        if not {outcome["behavior"], outcome["behaviorClose"]} <= PASSED:
            failed += 1
            print(name, outcome["behavior"], outcome["behaviorClose"])
    print(dict(Counter(outcome["behavior"] for outcome in report.values())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
