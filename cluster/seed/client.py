"""A small client of the product's own API: what the seed needs, with a deadline on every call."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from kit.errors import AppError

TIMEOUT_S = 30.0
PIECE_BYTES = 4 << 20
READY_TIMEOUT_S = 300.0


class SiteRefused(AppError):
    """The site answered with an error; its own text says which."""

    code, status, message = "site_refused", 502, "The site refused."


class SiteClient:
    """One person's view of the API."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._headers: dict[str, str] = {}

    async def request(self, method: str, path: str, **options: Any) -> Any:
        """Make one call; return its JSON body or None; raises SiteRefused."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        headers = self._headers | options.pop("headers", {})
        url = path if path.startswith("http") else self._url + path
        async with self._session.request(
            method, url, headers=headers, timeout=timeout, **options
        ) as response:
            is_json = "json" in response.headers.get("Content-Type", "")
            body = await response.json() if is_json else None
            if response.status >= 400:
                text = body.get("message") if isinstance(body, dict) else response.reason
                raise SiteRefused(f"{method} {path}: {response.status} {text}", got=response.status)
            return body

    async def enter(self, username: str, password: str) -> bool:
        """Log in, or register when there is no such person; return whether they are new."""
        answer: dict[str, Any]
        try:
            body = {"login": username, "password": password}
            answer = await self.request("POST", "/v1/auth/login", json=body)
            is_fresh = False
        except SiteRefused:
            body = {"username": username, "email": f"{username}@example.com", "password": password}
            answer = await self.request("POST", "/v1/auth/register", json=body)
            is_fresh = True
        self._headers = {"Authorization": f"Bearer {answer['access_token']}"}
        return is_fresh

    async def upload_video(self, file: Path, title: str, description: str) -> str:
        """Upload a file by tus; return the video's id."""
        data = await asyncio.to_thread(file.read_bytes)
        body = {"title": title, "description": description, "filename": file.name}
        made = await self.request("POST", "/v1/videos", json=body | {"size_bytes": len(data)})
        for offset in range(0, len(data), PIECE_BYTES):
            headers = {
                "Tus-Resumable": "1.0.0",
                "Upload-Offset": str(offset),
                "Content-Type": "application/offset+octet-stream",
            }
            piece = data[offset : offset + PIECE_BYTES]
            await self.request("PATCH", made["upload"]["url"], data=piece, headers=headers)
        return str(made["id"])

    async def wait_until_ready(self, video_id: str) -> None:
        """Wait for the transcoding; raises SiteRefused when it failed or took too long."""
        for _ in range(int(READY_TIMEOUT_S)):
            video = await self.request("GET", f"/v1/videos/{video_id}")
            if video["status"] == "ready":
                return
            if video["status"] == "failed":
                raise SiteRefused(f"Video {video_id} failed: {video['error']}")
            await asyncio.sleep(1)
        raise SiteRefused(f"Video {video_id} was not ready after {READY_TIMEOUT_S:.0f} s")
