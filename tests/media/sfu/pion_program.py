"""Builds the program that publishes and watches with Pion, against Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from cluster.bootstrap import PION

PROGRAM = Path(__file__).with_name("pion")
LIBRARIES = Path("/usr/share/gocode")
HAS_PION = shutil.which("go") is not None and PION.is_dir()
"""It comes with golang-go and golang-github-pion-webrtc.v3-dev of Debian (`make test`)."""
PATIENCE_S = 120


def build_pion(folder: Path) -> Path:
    """Build the program in a folder and return where it is; nothing is fetched."""
    go = shutil.which("go")
    assert go is not None, "ask HAS_PION first"
    # Import paths end in major versions that Debian's folders lack: Go allows that to modules
    # within GOPATH alone (`go help gopath`).
    shutil.copytree(PROGRAM, folder / "src/socialflow/pion")
    paths = {"GOPATH": f"{folder}:{LIBRARIES}", "GO111MODULE": "off", "GOFLAGS": ""}
    subprocess.run(
        [go, "build", "-ldflags=-s -w", "-o", str(folder / "pion"), "."],
        cwd=folder / "src/socialflow/pion",
        env={**os.environ, **paths},
        check=True,
        timeout=PATIENCE_S,
    )
    return folder / "pion"
