"""The smallest agent Ray's node process accepts: it says that no metrics service runs here.

Ray insists on an agent process and waits for its ports; without a dashboard its own one costs
85 MB and a timer. Started by Ray's node process with our command line, ends with it. Standard
library alone, and nothing of the product: it runs isolated, in 6 MB.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path

PORT_FILES = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port")
NO_SERVICE = "-1"  # what Ray's own agent writes when its extras are not installed
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Write the port files and wait for the parent's death."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--session-dir", type=Path, required=True)
    parser.add_argument("--node-id", required=True)
    known, _rest = parser.parse_known_args(arguments)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for name in PORT_FILES:
        target = known.session_dir / f"{name}_{known.node_id}"
        staged = target.with_name(f".{target.name}.{os.getpid()}")
        staged.write_text(NO_SERVICE)
        staged.replace(target)
    while True:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
