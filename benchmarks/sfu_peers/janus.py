"""Debian's Janus with its streaming plugin, tuned: one event loop per core, ICE-lite, no logs.

Its viewers get an offer and answer it (streaming plugin's API); plain RTP feeds it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.peers import run_peer
from benchmarks.sfu_peers.course import Server, Word
from storage.embedded.ports import get_free_port

CURE = "apt-get install janus"
MOUNTPOINT = 1


def find_missing() -> dict[str, str]:
    """Return how to get Janus where it is not installed."""
    return {} if shutil.which("janus") else {"janus": CURE}


@asynccontextmanager
async def run_janus() -> AsyncIterator[Server]:
    """Run Janus until the block ends."""
    http_port, feed_port = get_free_port(), get_free_port()
    with tempfile.TemporaryDirectory() as folder:
        write_config(Path(folder), http_port, feed_port)
        words = ["janus", "-F", folder, "-d", "1", "-N", "--stun-server="]
        async with run_peer(words[:-1], http_port) as pid, aiohttp.ClientSession() as http:
            control = JanusControl(http, f"http://127.0.0.1:{http_port}/janus")
            await control.open()
            yield Server(pid, feed_port, control.reply)


def write_config(folder: Path, http_port: int, feed_port: int) -> None:
    """Write what differs from Debian's defaults."""
    (folder / "janus.jcfg").write_text(
        "general: {\n"
        f"  debug_level = 1\n  event_loops = {os.cpu_count()}\n  session_timeout = 0\n"
        '  log_to_stdout = false\n  log_to_file = "/dev/null"\n}\n'
        'nat: { ice_lite = true\n  full_trickle = false\n  ice_enforce_list = "lo"\n'
        '  ice_ignore_list = "" }\n'
        "media: { ipv6 = false }\n"
        'plugins: { disable = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_echotest.so,'
        "libjanus_lua.so,libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,"
        "libjanus_textroom.so,libjanus_videocall.so,libjanus_videoroom.so,"
        'libjanus_voicemail.so" }\n'
        'transports: { disable = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,'
        'libjanus_rabbitmq.so,libjanus_websockets.so" }\n'
    )
    (folder / "janus.transport.http.jcfg").write_text(
        'general: { json = "compact"\n  base_path = "/janus"\n  http = true\n'
        f'  port = {http_port}\n  ip = "127.0.0.1"\n  https = false }}\n'
    )
    (folder / "janus.plugin.streaming.jcfg").write_text(
        f'bench: {{ type = "rtp"\n  id = {MOUNTPOINT}\n  media = ( {{ type = "video"\n'
        f'  mid = "v"\n  port = {feed_port}\n  pt = 102\n  codec = "h264"\n'
        '  fmtp = "profile-level-id=42e01f;packetization-mode=1" } ) }\n'
    )


class JanusControl:
    """Its HTTP API, as much as watching takes."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url
        self._handle = ""
        self._sent = 0

    async def open(self) -> None:
        """Open the one session of the run."""
        created = await self._post(self._url, {"janus": "create"})
        self._url = f"{self._url}/{created['data']['id']}"

    async def reply(self, word: Word) -> Word:
        """Turn a viewer's wish into Janus's offer, and pass the viewer's answer on."""
        if "answer" in word:
            body = {"request": "start"}
            jsep = {"type": "answer", "sdp": word["answer"]}
            await self._ask(self._handle, {"body": body, "jsep": jsep})
            return {}
        attached = await self._post(
            self._url, {"janus": "attach", "plugin": "janus.plugin.streaming"}
        )
        self._handle = f"{self._url}/{attached['data']['id']}"
        event = await self._ask(self._handle, {"body": {"request": "watch", "id": MOUNTPOINT}})
        return {"offer": event["jsep"]["sdp"]}

    async def _ask(self, handle: str, message: dict[str, object]) -> dict[str, Any]:
        """Send a message and wait for the plugin's event about it."""
        await self._post(handle, {"janus": "message", **message})
        while True:
            async with self._http.get(self._url, params={"maxev": "1"}) as answer:
                found = await answer.json(content_type=None)
            events = found if isinstance(found, list) else [found]
            for event in events:
                if event["janus"] == "event" and event.get("transaction") == str(self._sent):
                    data = event["plugindata"]["data"]
                    assert "error" not in data, data
                    return dict(event)

    async def _post(self, url: str, message: dict[str, object]) -> dict[str, Any]:
        self._sent += 1
        async with self._http.post(url, json={**message, "transaction": str(self._sent)}) as answer:
            found: dict[str, Any] = await answer.json(content_type=None)
        assert found["janus"] in ("success", "ack"), found
        return found
