"""The servers we compare with: found on the machine or said to be missing, started, ended.

Nothing is installed here; `find_missing` says what brings each of them.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers import run_peer
from storage.embedded.ports import get_free_port

FOLDER = Path(__file__).parent
NGINX = shutil.which("nginx", path=os.defpath + ":/usr/sbin:/usr/local/sbin")
NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
NCHAN_SETTINGS = """
load_module {module};
{user}
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port};
    location = /sub {{
      nchan_subscriber websocket; nchan_channel_id room; nchan_subscriber_first_message newest;
    }}
    location = /pub {{ nchan_publisher websocket; nchan_channel_id room; }}
  }}
}}
"""


@dataclass(frozen=True)
class Peer:
    """A running server: where to listen, where to speak, its process."""

    url: str
    send_url: str
    pid: int


def find_missing() -> dict[str, str]:
    """Return the peers that are not on this machine, each with what brings it."""
    missing = {}
    if NGINX is None or not NCHAN.exists():
        missing["nchan"] = "apt-get install nginx-core libnginx-mod-nchan"
    if shutil.which("node") is None or not (FOLDER / "node_modules" / "ws").is_dir():
        missing["ws"] = "npm install --no-save --prefix benchmarks/chat_fanout ws"
    if importlib.util.find_spec("websockets") is None:
        missing["fastapi"] = "pip install websockets"
    return missing


def describe_nchan() -> str:
    """Return the versions of nginx and nchan."""
    if NGINX is None or not NCHAN.exists():
        return "not installed"
    words = subprocess.run([NGINX, "-v"], capture_output=True, text=True, check=True).stderr
    found = re.search(rb"nchan[ /-]?v?(\d+\.\d+\.\d+)", NCHAN.read_bytes(), re.IGNORECASE)
    nchan = found[1].decode() if found else "of the same release"
    return f"{words.strip().rpartition(': ')[2]}, nchan {nchan}, one worker"


def describe_ws() -> str:
    """Return the versions of ws and node."""
    file = FOLDER / "node_modules" / "ws" / "package.json"
    if not file.exists() or shutil.which("node") is None:
        return "not installed"
    words = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r'"version": "([^"]+)"', file.read_text())
    return f"{found[1] if found else '?'} on node {words.strip()}"


def describe_fastapi() -> str:
    """Return the versions of FastAPI and what it runs on."""
    names = ("fastapi", "uvicorn", "websockets", "uvloop")
    return ", ".join(f"{name} {version(name)}" for name in names)


@asynccontextmanager
async def run_nchan() -> AsyncIterator[Peer]:
    """Run nginx with nchan; publishing and subscribing by WebSocket."""
    assert NGINX is not None, "a missing peer is left out"
    with tempfile.TemporaryDirectory(prefix="sf-nchan-") as folder:
        port = get_free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        file = Path(folder) / "nginx.conf"
        file.write_text(NCHAN_SETTINGS.format(module=NCHAN, user=user, folder=folder, port=port))
        async with run_peer([NGINX, "-p", folder, "-c", str(file)], port) as pid:
            yield make_peer(port, pid)


@asynccontextmanager
async def run_ws() -> AsyncIterator[Peer]:
    """Run the plain broadcast on `ws`."""
    port = get_free_port()
    async with run_peer(["node", str(FOLDER / "broadcast.cjs"), str(port)], port) as pid:
        yield make_peer(port, pid)


@asynccontextmanager
async def run_fastapi() -> AsyncIterator[Peer]:
    """Run the plain FastAPI broadcast."""
    port = get_free_port()
    words = [sys.executable, "-m", "uvicorn", "benchmarks.chat_fanout.fastapi_peer:app"]
    words += ["--port", str(port), "--loop", "uvloop", "--ws", "websockets-sansio"]
    async with run_peer([*words, "--log-level", "warning"], port) as pid:
        yield make_peer(port, pid)


def make_peer(port: int, pid: int) -> Peer:
    """Return a peer at the addresses that all of them have."""
    address = f"ws://127.0.0.1:{port}"
    return Peer(f"{address}/sub", f"{address}/pub", pid)
