"""The tus 1.0 server on the edge (tus.io/protocols/resumable-upload), with its extensions.

POST /v1/videos of the API announces a file too, and hands out an address here. Requests carry the
owner's access token; others do not learn that an upload exists. Any edge can continue any upload:
state is in rows and objects alone. Reading headers is `tus_headers.py`'s, storing bytes
`upload_writer.py`'s.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping

from aiohttp import hdrs, web

from kit.errors import AppError, NotFound
from kit.ids import make_id, parse_id
from kit.logs import get_log
from serve_apps.edge.body_moves import BodyMove
from serve_apps.edge.form_uploads import add_form_route
from serve_apps.edge.refusals import Handler, build_refusal
from serve_apps.edge.tus_headers import (
    CHECKSUM_ALGORITHMS,
    UploadHeaderMissing,
    read_checksum,
    read_count,
    read_new_file,
    write_expiry,
    write_offset,
)
from serve_apps.edge.upload_callers import (
    PREFLIGHT_MAX_AGE_S,
    BodyGate,
    allow_origin,
    announce,
    identify,
    read_bearer,
)
from serve_apps.edge.upload_writer import (
    IDLE_MAX_S,
    LOCK_TTL_S,
    Body,
    Checksum,
    ContentSource,
    UploadPorts,
    UploadStalled,
    UploadWriter,
)
from storage.upload_indexes import INDEX_BYTES_MAX, keep_index
from storage.upload_sinks import UploadLocked
from storage.uploads import (
    Upload,
    find_upload,
    lock_upload,
    make_part_key,
    make_parts_prefix,
)

log = get_log("uploads")

TUS_VERSION = "1.0.0"
EXTENSIONS = (
    "creation,creation-with-upload,creation-defer-length,"
    "termination,checksum,expiration,concatenation"
)
OFFSET_TYPE = "application/offset+octet-stream"
ALLOWED_HEADERS = (
    "Authorization, Content-Type, Tus-Resumable, Upload-Offset, Upload-Length, Upload-Metadata, "
    "Upload-Checksum, Upload-Concat, Upload-Defer-Length, X-HTTP-Method-Override, "
    "X-Requested-With, X-Request-Id"
)
EXPOSED_HEADERS = (
    "Upload-Offset, Upload-Length, Upload-Expires, Tus-Resumable, Tus-Version, Tus-Extension, "
    "Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Metadata, Upload-Defer-Length, Upload-Concat, "
    "Location, Retry-After"
)
CORS: Mapping[str, str] = {
    hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: EXPOSED_HEADERS,
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "POST, HEAD, PATCH, PUT, DELETE, OPTIONS",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ALLOWED_HEADERS,
    hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_MAX_AGE_S),
}


class TusVersionUnsupported(AppError):
    """The request speaks another version of the protocol, or none."""

    code, status, message = "tus_version_unsupported", 412, "This server speaks tus 1.0.0."


class UploadTypeUnsupported(AppError):
    """A PATCH whose body is not of tus' own type."""

    code, status = "upload_type_unsupported", 415
    message = f"The body must be of the type {OFFSET_TYPE}."


class UploadOffsetMismatch(AppError):
    """The body does not begin where the upload stands; ask with HEAD."""

    code, status, message = "upload_offset_mismatch", 409, "The upload stands at another offset."


class UploadIsFinal(AppError):
    """A final upload has no bytes of its own (tus concatenation)."""

    code, status, message = "upload_is_final", 403, "A final upload takes no bytes of its own."


class UploadIndexUnfit(AppError):
    """What was sent is no index of this file, or comes too late."""

    code, status = "upload_index_unfit", 409
    message = "An index is sent while its file arrives, for a place in it that has not come."


class UploadIndexUnwanted(AppError):
    """Nothing is made of files before all of their bytes are there."""

    code, status = "upload_index_unwanted", 409
    message = "This site does not begin videos while their files arrive."


class UploadIndexTooLarge(AppError):
    """An index of a film of any length is smaller."""

    code, status, message = "upload_index_too_large", 413, "The index is larger than it may be."


class UploadGone(AppError):
    """The upload was given up or has expired; start again."""

    code, status, message = "upload_gone", 410, "This upload has expired or was given up."


class UploadFinished(AppError):
    """The upload, or what it is a part of, is complete and cannot be given up; delete the video."""

    code, status, message = "upload_finished", 409, "This upload is complete; delete the video."


def add_upload_routes(app: web.Application, ports: UploadPorts) -> None:
    """Put /uploads/{id} on the edge, and /uploads/form."""
    gate = BodyGate()
    add_form_route(app, ports, gate)
    server = _UploadServer(ports, gate)
    options = server.speak_tus(server.describe, needs_version=False)
    app.router.add_route(hdrs.METH_OPTIONS, "/uploads", options)
    app.router.add_route(hdrs.METH_OPTIONS, "/uploads/{upload_id}", options)
    app.router.add_route(hdrs.METH_POST, "/uploads", server.speak_tus(server.create))
    app.router.add_route(hdrs.METH_HEAD, "/uploads/{upload_id}", server.speak_tus(server.head))
    app.router.add_route(hdrs.METH_PATCH, "/uploads/{upload_id}", server.speak_tus(server.patch))
    app.router.add_route(hdrs.METH_DELETE, "/uploads/{upload_id}", server.speak_tus(server.delete))
    app.router.add_route(hdrs.METH_POST, "/uploads/{upload_id}", server.speak_tus(server.override))
    index = "/uploads/{upload_id}/index"
    app.router.add_route(hdrs.METH_OPTIONS, index, options)
    app.router.add_route(hdrs.METH_PUT, index, server.speak_tus(server.put_index))


class _UploadServer:
    """The handlers, sharing the ports and the count of bodies in flight."""

    def __init__(self, ports: UploadPorts, gate: BodyGate) -> None:
        self._ports = ports
        self._gate = gate

    def speak_tus(self, handler: Handler, *, needs_version: bool = True) -> Handler:
        """Wrap a handler with the version check, error bodies and the headers of every answer."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response: web.StreamResponse
            try:
                if needs_version and request.headers.get("Tus-Resumable") != TUS_VERSION:
                    raise TusVersionUnsupported
                response = await handler(request)
            except AppError as error:
                log.info("upload.refused", code=error.code, method=request.method)
                response = build_refusal(error, self._ports.clock.now())
                if isinstance(error, TusVersionUnsupported):
                    response.headers["Tus-Version"] = TUS_VERSION
                if "offset_bytes" in error.details:
                    response.headers["Upload-Offset"] = str(error.details["offset_bytes"])
            response.headers["Tus-Resumable"] = TUS_VERSION
            response.headers["Cache-Control"] = "no-store"
            allow_origin(self._ports.settings, request, response, CORS)
            return response

        return answer

    async def describe(self, _request: web.Request) -> web.StreamResponse:
        """Say what this server can do (OPTIONS; also the browser's preflight)."""
        return web.Response(
            status=204,
            headers={
                "Tus-Version": TUS_VERSION,
                "Tus-Extension": EXTENSIONS,
                "Tus-Max-Size": str(self._ports.settings.uploads.size_bytes_max),
                "Tus-Checksum-Algorithm": ",".join(CHECKSUM_ALGORITHMS),
            },
        )

    async def head(self, request: web.Request) -> web.StreamResponse:
        """Say how many bytes are safe."""
        upload = await self._get_upload(request)
        headers = write_offset(upload)
        headers |= {"Upload-Metadata": upload.metadata} if upload.metadata else {}
        headers |= {"Upload-Concat": upload.concat} if upload.concat else {}
        return web.Response(status=200, headers=headers)

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Announce a file, a part of one, or that parts make one; the body may begin it."""
        identity = identify(self._ports, read_bearer(request))
        file = read_new_file(request)
        checksum = read_checksum(request)
        upload_id = await announce(self._ports, identity, file)
        headers: dict[str, str] = {"Location": f"/uploads/{upload_id}"}
        log.info("upload.created", upload_id=str(upload_id), concat=file.concat[:8])
        if file.parts:
            return web.Response(status=201, headers=headers)
        async with self._ports.database.statement(writes=False) as connection:
            upload = await find_upload(connection, upload_id)
        assert upload is not None, "it was written a moment ago"
        if request.content_type != OFFSET_TYPE:
            return web.Response(status=201, headers=headers | write_expiry(upload))
        body = self._read_body(request, checksum)
        begun = await self._append_bounded(request, upload, 0, body)
        for name in ("Upload-Offset", "Upload-Expires"):
            headers[name] = begun.headers[name]
        return web.Response(status=201, headers=headers)

    async def patch(self, request: web.Request) -> web.StreamResponse:
        """Append the body at the upload's offset; 204 says that all of it is durable."""
        if request.content_type != OFFSET_TYPE:
            raise UploadTypeUnsupported
        offset_bytes = read_count(request, "Upload-Offset")
        body = self._read_body(request, read_checksum(request))
        upload = await self._get_upload(request)
        if upload.state == "finished" and offset_bytes == upload.size_bytes and not body.size_bytes:
            return web.Response(status=204, headers=write_offset(upload))
        if upload.concat.startswith("final"):
            raise UploadIsFinal
        if upload.state == "finished" or offset_bytes != upload.offset_bytes:
            raise UploadOffsetMismatch(offset_bytes=upload.offset_bytes)
        if "Upload-Length" in request.headers and upload.size_bytes is None:
            await self._declare(upload, read_count(request, "Upload-Length"))
        return await self._append_bounded(request, upload, offset_bytes, body)

    async def _declare(self, upload: Upload, size_bytes: int) -> None:
        async with self._ports.database.transaction() as connection:
            is_told = await self._ports.rules.declare(
                connection, self._ports.settings, upload, size_bytes
            )
        if not is_told:
            raise UploadHeaderMissing("Upload-Length is less than what has arrived.")

    async def _append_bounded(
        self, request: web.Request, upload: Upload, offset_bytes: int, body: Body
    ) -> web.StreamResponse:
        """Append while this edge has memory for one more body."""
        with self._gate.take():
            return await self._append(request, upload, offset_bytes, body)

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """Give the upload up (tus termination), or a complete part that nobody has joined."""
        upload = await self._get_upload(request)
        async with self._ports.database.transaction() as connection:
            if upload.state == "open":
                locked = await lock_upload(connection, upload.id, make_id(), LOCK_TTL_S)
                if locked is None:
                    raise UploadLocked(retry_after_s=1)
            if not await self._ports.rules.terminate(connection, upload):
                raise UploadFinished
        return web.Response(status=204)

    async def put_index(self, request: web.Request) -> web.StreamResponse:
        """Take the index of a file, which lies at `Upload-Offset`, before the bytes ahead of it.

        A hint of our own beside tus: with it the video can be begun while the file arrives.
        """
        at_bytes = read_count(request, "Upload-Offset")
        upload = await self._get_upload(request)
        wants = self._ports.settings.processing.head_start
        if not wants or self._ports.objects.local_path(make_part_key(upload.id, 0)) is None:
            raise UploadIndexUnwanted
        if request.content_length is None:
            raise UploadHeaderMissing("An index says its length.")
        if request.content_length > INDEX_BYTES_MAX:
            raise UploadIndexTooLarge(size_bytes_max=INDEX_BYTES_MAX)
        stop_bytes = at_bytes + request.content_length
        is_within = upload.size_bytes is not None and stop_bytes <= upload.size_bytes
        if upload.state != "open" or upload.video_id is None or not is_within:
            raise UploadIndexUnfit
        if at_bytes < upload.offset_bytes:
            raise UploadIndexUnfit
        with self._gate.take():
            try:
                async with asyncio.timeout(IDLE_MAX_S):
                    data = await request.content.readexactly(request.content_length)
            except TimeoutError as error:
                raise UploadStalled(offset_bytes=upload.offset_bytes) from error
            await keep_index(self._ports.objects, upload.id, at_bytes, data)
        async with self._ports.database.statement(writes=False) as connection:
            found = await find_upload(connection, upload.id)
        if found is None or found.state == "terminated":  # its bytes were removed meanwhile
            await self._ports.objects.delete_prefix(make_parts_prefix(upload.id))
            raise UploadGone
        return web.Response(status=204)

    async def override(self, request: web.Request) -> web.StreamResponse:
        """Take a POST as the method it names (tus: X-HTTP-Method-Override)."""
        handlers = {"PATCH": self.patch, "DELETE": self.delete, "HEAD": self.head}
        handler = handlers.get(request.headers.get("X-HTTP-Method-Override", "").upper())
        if handler is None:
            raise UploadHeaderMissing("A POST needs X-HTTP-Method-Override: PATCH or DELETE.")
        return await handler(request)

    async def _append(
        self, request: web.Request, upload: Upload, offset_bytes: int, body: Body
    ) -> web.StreamResponse:
        writer = await UploadWriter.open(self._ports, upload)
        try:
            if offset_bytes != writer.offset_bytes:
                raise UploadOffsetMismatch(offset_bytes=writer.offset_bytes)
            is_whole = await writer.write(body)
            await writer.close_if_whole()
        finally:
            await writer.close()
        if not is_whole:
            log.info("upload.broken", upload_id=str(upload.id), offset_bytes=writer.offset_bytes)
            request.protocol.force_close()
        return web.Response(status=204, headers=write_offset(writer.standing))

    def _read_body(self, request: web.Request, checksum: Checksum | None) -> Body:
        size_bytes_min = self._ports.settings.uploads.moved_bytes_min
        begin_move = functools.partial(BodyMove.begin, request, size_bytes_min)
        return Body(ContentSource(request.content), request.content_length, checksum, begin_move)

    async def _get_upload(self, request: web.Request) -> Upload:
        """Return the caller's upload; raises NotAuthenticated, NotFound, UploadGone."""
        identity = identify(self._ports, read_bearer(request))
        upload_id = parse_id(request.match_info["upload_id"])
        if upload_id is None:
            raise NotFound
        async with self._ports.database.statement(writes=False) as connection:
            upload = await find_upload(connection, upload_id)
        if upload is None or upload.owner_id != identity.user_id:
            raise NotFound
        if upload.state == "terminated" or (upload.state == "open" and upload.is_expired):
            raise UploadGone
        return upload
