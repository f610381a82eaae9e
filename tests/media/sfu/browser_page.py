"""The page and the tiny HTTP front that let a real browser speak WHIP and WHEP to an `Sfu`."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from kit.errors import AppError
from media.sfu.server import Sfu

PAGE = """<!doctype html><title>sfu</title>
<video id="sink" autoplay muted playsinline></video>
<script>
const peers = {};

async function offer(connection, path) {
  await connection.setLocalDescription();
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/sdp" },
    body: connection.localDescription.sdp,
  });
  if (answer.status !== 201) throw new Error(`${path}: ${answer.status}`);
  const sdp = await answer.text();
  await connection.setRemoteDescription({ type: "answer", sdp });
  return { offer: connection.localDescription.sdp, answer: sdp };
}

function connected(connection) {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (connection.connectionState === "connected") resolve();
      if (connection.connectionState === "failed") reject(new Error("connection failed"));
    };
    connection.addEventListener("connectionstatechange", look);
    look();
  });
}

function listCodecs(kind) {
  return RTCRtpSender.getCapabilities("video").codecs
    .filter((codec) => codec.mimeType === `video/${kind}`).length;
}

async function publish(room, codec, rids = []) {
  const connection = (peers.publisher = new RTCPeerConnection());
  const stream = await navigator.mediaDevices.getUserMedia({
    video: { width: 640, height: 360, frameRate: 30 }, audio: true,
  });
  const sendEncodings = rids.map((rid, at) => ({
    rid, scaleResolutionDownBy: 2 ** (rids.length - 1 - at),
  }));
  for (const track of stream.getTracks()) {
    const how = { direction: "sendonly", streams: [stream] };
    if (track.kind === "video" && rids.length) how.sendEncodings = sendEncodings;
    const transceiver = connection.addTransceiver(track, how);
    if (track.kind === "video") {
      const all = RTCRtpSender.getCapabilities("video").codecs;
      transceiver.setCodecPreferences(all.filter((c) => c.mimeType === `video/${codec}`));
    }
  }
  const texts = await offer(connection, `/whip/${room}`);
  await connected(connection);
  return texts;
}

async function watch(room) {
  const connection = (peers.viewer = new RTCPeerConnection());
  const sink = document.getElementById("sink");
  const media = (sink.srcObject = new MediaStream());
  connection.ontrack = (event) => media.addTrack(event.track);
  connection.addTransceiver("video", { direction: "recvonly" });
  connection.addTransceiver("audio", { direction: "recvonly" });
  const started = performance.now();
  const texts = await offer(connection, `/whep/${room}`);
  await connected(connection);
  await new Promise((resolve) => sink.requestVideoFrameCallback(resolve));
  return { ...texts, firstFrameMs: performance.now() - started };
}

async function inbound() {
  const found = {};
  (await peers.viewer.getStats()).forEach((report) => {
    if (report.type === "inbound-rtp") found[report.kind] = report;
    if (report.type === "codec") found[report.mimeType] = report;
  });
  return found;
}

function picture() {
  const sink = document.getElementById("sink");
  return [sink.videoWidth, sink.videoHeight];
}

function hangUp(name) {
  peers[name].close();
}
</script>
"""


def make_app(
    sfu: Sfu,
    page: str = PAGE,
    redirect: Callable[[str, str], str] = lambda _protocol, answer: answer,
) -> web.Application:
    """Return an application with a page, WHIP, WHEP and nothing else.

    `redirect` may put other addresses into the answers of "whip" and "whep".
    """

    async def show_page(_request: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    async def answer_offer(request: web.Request) -> web.Response:
        protocol = request.match_info["protocol"]
        take = {"whip": sfu.publish, "whep": sfu.watch}[protocol]
        try:
            answer = take(request.match_info["room"], await request.text())
        except AppError as error:
            return web.Response(status=error.status, text=error.text)
        headers = {"Location": f"/session/{answer.session_id}", "ETag": answer.etag}
        return web.Response(
            status=201,
            text=redirect(protocol, answer.sdp),
            content_type="application/sdp",
            headers=headers,
        )

    app = web.Application()
    app.router.add_get("/", show_page)
    app.router.add_post("/{protocol:whip|whep}/{room}", answer_offer)
    return app
