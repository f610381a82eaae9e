"""A video sent in one go as a plain form: `curl -F file=@film.mp4`, or a page's own form.

Beside tus (`uploads.py`) for whoever does not need to resume: the same rules, rows, pieces and
limits. The last byte queues the video; a form that breaks off or is refused leaves nothing behind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

import msgspec
import orjson
from aiohttp import BodyPartReader, hdrs, web

from kit.errors import AppError, Unavailable
from kit.logs import get_log
from serve_apps.access.identity import Identity
from serve_apps.edge.form_reader import FormBroken, FormInvalid, FormReader, PartSource
from serve_apps.edge.refusals import build_refusal
from serve_apps.edge.upload_callers import (
    PREFLIGHT_MAX_AGE_S,
    BodyGate,
    allow_origin,
    announce,
    identify,
    read_bearer,
)
from serve_apps.edge.upload_writer import (
    Body,
    Checksum,
    UploadPorts,
    UploadWriter,
)
from storage.uploads import NewFile, Upload, find_upload

log = get_log("uploads")

FORM_PATH = "/uploads/form"
FORM_TYPE = "multipart/form-data"
TOKEN_FIELD = "access_token"  # noqa: S105 -- the name of a field
SHA256_FIELD = "sha256"
SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}")
SAID_OF_FILE = frozenset({"title", "description", "visibility", "protected", "duration_ms"})
KNOWN = SAID_OF_FILE | {TOKEN_FIELD, SHA256_FIELD}
BESIDE_FILE_BYTES_MAX = 256 << 10
"""What all fields and headers of a form may take beside the file."""
CORS: Mapping[str, str] = {
    hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "Location, Retry-After",
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "POST, OPTIONS",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type, X-Request-Id",
    hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_MAX_AGE_S),
}


class FormTypeUnsupported(AppError):
    """The body is no form."""

    code, status, message = "form_type_unsupported", 415, f"The body must be {FORM_TYPE}."


def add_form_route(app: web.Application, ports: UploadPorts, gate: BodyGate) -> None:
    """Put /uploads/form on the edge."""
    server = _FormServer(ports, gate)
    app.router.add_post(FORM_PATH, server.answer)
    app.router.add_options(FORM_PATH, server.describe)


class _FormServer:
    """The handlers."""

    def __init__(self, ports: UploadPorts, gate: BodyGate) -> None:
        self._ports = ports
        self._gate = gate

    async def describe(self, request: web.Request) -> web.StreamResponse:
        """Answer the browser's preflight."""
        response = web.Response(status=204)
        allow_origin(self._ports.settings, request, response, CORS)
        return response

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Take the form; 201 says that all of the file is durable and its video is queued."""
        response: web.StreamResponse
        try:
            if request.content_type != FORM_TYPE:
                raise FormTypeUnsupported
            with self._gate.take():
                response = await self._receive(request)
        except AppError as error:
            log.info("upload.refused", code=error.code, method=request.method)
            response = build_refusal(error, self._ports.clock.now())
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        allow_origin(self._ports.settings, request, response, CORS)
        return response

    async def _receive(self, request: web.Request) -> web.Response:
        form = await FormReader.open(request, KNOWN)
        part = await form.find_file()
        token = read_bearer(request) or form.words.get(TOKEN_FIELD)
        file = _read_file(form.words, part.filename or "", request.content_length)
        upload = await self._open(identify(self._ports, token), file)
        try:
            size_bytes = await self._take(form, part, upload)
        except BaseException:
            await self._give_up(upload)
            raise
        log.info("upload.form_taken", upload_id=str(upload.id), size_bytes=size_bytes)
        place = f"{self._ports.settings.http.public_url}/v1/videos/{upload.video_id}"
        body = {"id": str(upload.video_id), "status": "queued", "size_bytes": size_bytes}
        return web.Response(
            status=201,
            body=orjson.dumps(body),
            content_type="application/json",
            headers={hdrs.LOCATION: place},
        )

    async def _open(self, identity: Identity, file: NewFile) -> Upload:
        """Write the rows of a file whose length is known at its end."""
        upload_id = await announce(self._ports, identity, file)
        async with self._ports.database.transaction() as connection:
            upload = await find_upload(connection, upload_id)
        assert upload is not None, "it was written a moment ago"
        return upload

    async def _take(self, form: FormReader, part: BodyPartReader, upload: Upload) -> int:
        """Store the file and end its upload; return its size. Raises what a writer raises."""
        before = dict(form.words)
        writer = await UploadWriter.open(self._ports, upload)
        source = PartSource(part)
        try:
            is_whole = await writer.write(Body(source, None, _read_checksum(before)))
        finally:
            await source.close()
            await writer.close()
        if not is_whole:
            raise FormBroken
        await form.read_rest()
        if writer.offset_bytes == 0:
            raise FormInvalid("An empty file is no video.")
        if form.words.keys() - before.keys() - SAID_OF_FILE:
            raise FormInvalid(f"“{TOKEN_FIELD}” and “{SHA256_FIELD}” come before the file.")
        await self._finish(upload, writer.offset_bytes, form.words if form.words != before else {})
        return writer.offset_bytes

    async def _finish(self, upload: Upload, size_bytes: int, words: Mapping[str, str]) -> None:
        rules = self._ports.rules
        async with self._ports.database.transaction() as connection:
            if words:
                said = {"filename": upload.filename, **words}
                await rules.describe(connection, upload, NewFile(None, "", said))
            is_told = await rules.declare(connection, self._ports.settings, upload, size_bytes)
            assert is_told, "the length is what has arrived"
            await rules.finish(connection, msgspec.structs.replace(upload, size_bytes=size_bytes))

    async def _give_up(self, upload: Upload) -> None:
        """Leave nothing behind: no video, no bytes."""
        with suppress(Unavailable):  # else it ends when its time is over
            async with self._ports.database.transaction() as connection:
                found = await find_upload(connection, upload.id)
                if found is not None and found.state == "open":
                    await self._ports.rules.terminate(connection, found)


def _read_file(words: Mapping[str, str], filename: str, body_bytes: int | None) -> NewFile:
    """What a form says of its file before the first byte of it."""
    said = {name: words[name] for name in SAID_OF_FILE & words.keys()}
    said["filename"] = filename.replace("\\", "/").rpartition("/")[2].replace("\0", "")
    return NewFile(None, "", said, bytes_min=max(0, (body_bytes or 0) - BESIDE_FILE_BYTES_MAX))


def _read_checksum(words: Mapping[str, str]) -> Checksum | None:
    text = words.get(SHA256_FIELD)
    if text is None:
        return None
    if not SHA256_HEX.fullmatch(text.strip()):
        raise FormInvalid(f"“{SHA256_FIELD}” is 64 hexadecimal digits.")
    return Checksum("sha256", bytes.fromhex(text.strip()))
