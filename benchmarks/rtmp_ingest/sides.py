"""Both sides of the question: FFmpeg sends the same film to each, their CPU is read from /proc."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.children import run_child
from benchmarks.frame import Answer, Form
from benchmarks.meters import CpuMeter, list_process_family
from benchmarks.peers import run_peer
from storage.embedded.ports import get_free_port

PUBLISHERS = 4
SECONDS, SECONDS_SHORT = 20, 6
BITRATE_MBPS = 3
HLS_LATE_S = 4.5
"""The open segment, and what an encoder keeps back."""
NGINX = shutil.which("nginx", path=os.defpath + ":/usr/sbin:/usr/local/sbin")
MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
NGINX_SETTINGS = """
load_module {module};
{user}
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 256; }}
rtmp {{
  server {{
    listen 127.0.0.1:{port};
    application live {{
      live on; hls on; hls_path {folder}/hls; hls_fragment 2s; hls_playlist_length 120s;
    }}
  }}
}}
"""


def find_missing() -> dict[str, str]:
    """Return the peer when it is not on this machine, with what brings it."""
    if NGINX is not None and MODULE.exists():
        return {}
    return {"nginx-rtmp": "apt-get install nginx-core libnginx-mod-rtmp"}


def describe_nginx() -> str:
    """Return the versions of nginx and its module."""
    if NGINX is None or not MODULE.exists():
        return "not installed"
    words = subprocess.run([NGINX, "-v"], capture_output=True, text=True, check=True).stderr
    found = re.search(rb"nginx-rtmp-module[^0-9]*(\d+\.\d+\.\d+)", MODULE.read_bytes())
    module = found[1].decode() if found else "1.2"
    return f"{words.strip().rpartition(': ')[2]}, nginx-rtmp {module}, one worker, HLS of 2 s"


@functools.cache
def make_film(seconds: int) -> Path:
    """Return a film of 3 Mbit/s, 720p30 with AAC, encoded once."""
    path = Path(tempfile.mkdtemp(prefix="sf-film-")) / "film.flv"
    bitrate = f"{BITRATE_MBPS * 1000 - 128}k"
    subprocess.run(
        f"ffmpeg -v error -nostdin -f lavfi"
        f" -i testsrc2=size=1280x720:rate=30:duration={seconds},noise=alls=20:allf=t"
        f" -f lavfi -i sine=duration={seconds} -c:v libx264 -preset ultrafast -bf 0 -g 60"
        f" -pix_fmt yuv420p -b:v {bitrate} -minrate {bitrate} -maxrate {bitrate} -bufsize 1M"
        f" -c:a aac -b:a 128k -ar 48000 -ac 2 -f flv {path}".split(),
        check=True,
    )
    return path


async def publish_all(port: int, seconds: int) -> None:
    """Send the film in real time from every publisher at once."""
    film = await asyncio.to_thread(make_film, seconds)
    sending = [
        await asyncio.create_subprocess_exec(
            *f"ffmpeg -v error -nostdin -re -i {film} -c copy -f flv".split(),
            f"rtmp://127.0.0.1:{port}/live/publisher{number}",
        )
        for number in range(PUBLISHERS)
    ]
    statuses = await asyncio.gather(*(process.wait() for process in sending))
    assert not any(statuses), f"FFmpeg ended with {statuses}"


async def measure_ours(form: Form) -> Answer:
    """Publish to our listener."""
    seconds = form.choose(SECONDS, SECONDS_SHORT)
    await asyncio.to_thread(make_film, seconds)
    with tempfile.TemporaryDirectory(prefix="sf-rtmp-") as folder:
        async with run_child("benchmarks.rtmp_ingest.ingest", folder) as child:
            port = (await child.ask({}))["port"]
            meter = CpuMeter({"server": [child.pid]})
            await publish_all(port, seconds)
            spent_s = meter.read()["server"]
            result = await child.ask({})
            tap_s = CpuMeter.read_total([result["tap"]])
    packaged_s = result["packaged_s"]
    assert len(packaged_s) == PUBLISHERS
    assert result["pictures"] == PUBLISHERS * seconds * 30
    check_packaged(packaged_s, seconds)
    return make_answer(spent_s, seconds, tap_percent=100 * tap_s / (PUBLISHERS * seconds))


async def measure_nginx(form: Form) -> Answer:
    """Publish to nginx-rtmp."""
    seconds = form.choose(SECONDS, SECONDS_SHORT)
    await asyncio.to_thread(make_film, seconds)
    async with run_nginx() as (port, pid, folder):
        meter = CpuMeter({"server": list_process_family(pid)})
        await publish_all(port, seconds)
        spent_s = meter.read()["server"]
        lists = sorted((folder / "hls").glob("*.m3u8"))
        packaged_s = [
            sum(map(float, re.findall(r"#EXTINF:([\d.]+)", file.read_text()))) for file in lists
        ]
    assert len(packaged_s) == PUBLISHERS
    check_packaged(packaged_s, seconds)
    return make_answer(spent_s, seconds)


def check_packaged(packaged_s: list[float], seconds: int) -> None:
    """Both sides must have made HLS of nearly all that was sent."""
    assert min(packaged_s) >= seconds - HLS_LATE_S, f"packaged only {packaged_s}"


def make_answer(spent_s: float, seconds: int, **more: float) -> Answer:
    """Spread the CPU over publishers and time."""
    percent = 100 * spent_s / (PUBLISHERS * seconds)
    return Answer({"cpu_percent": percent, **more}, f"{PUBLISHERS} publishers, {seconds} s")


@contextlib.asynccontextmanager
async def run_nginx() -> AsyncIterator[tuple[int, int, Path]]:
    """Run nginx-rtmp in a folder of its own; yields port, pid and folder."""
    assert NGINX is not None, "find_missing leaves this side out"
    with tempfile.TemporaryDirectory(prefix="sf-nginx-") as name:
        folder, port = Path(name), get_free_port()
        (folder / "hls").mkdir()
        user = "user root;" if os.getuid() == 0 else ""
        settings = folder / "nginx.conf"
        settings.write_text(
            NGINX_SETTINGS.format(module=MODULE, user=user, folder=folder, port=port)
        )
        async with run_peer([NGINX, "-p", name, "-c", str(settings)], port) as pid:
            yield port, pid, folder
