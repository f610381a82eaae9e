"""The page that films numbered pictures and watches them come back through the forwarding plane."""

from __future__ import annotations

PAGE = """<!doctype html><title>glass</title>
<canvas id="scene" width="640" height="360"></canvas>
<video id="sink" autoplay muted playsinline></video>
<script>
const BITS = 16, SIDE = 40, HZ = 30, BELIEVED = 10 * HZ;
const scene = document.getElementById("scene").getContext("2d");
const sink = document.getElementById("sink");
const reader = new OffscreenCanvas(640, SIDE).getContext("2d", { willReadFrequently: true });
const drawnAt = new Float64Array(1 << BITS);
const seen = { number: -1, latenciesMs: [], gapsMs: [], lastMs: 0 };
let number = 0, publisher = null, viewer = null;

function draw() {
  number = (number + 1) % (1 << BITS);
  scene.fillStyle = `hsl(${number % 360} 60% 50%)`;
  scene.fillRect(0, SIDE, 640, 320);
  scene.fillStyle = "white";
  scene.fillRect((number * 7) % 560, 100 + (number * 3) % 180, 80, 80);
  for (let bit = 0; bit < BITS; bit++) {
    scene.fillStyle = number >> bit & 1 ? "white" : "black";
    scene.fillRect(bit * SIDE, 0, SIDE, SIDE);
  }
  drawnAt[number] = performance.now();
}

function readNumber() {
  reader.drawImage(sink, 0, 0, 640, SIDE, 0, 0, 640, SIDE);
  const pixels = reader.getImageData(0, SIDE / 2, 640, 1).data;
  let found = 0;
  for (let bit = 0; bit < BITS; bit++) found |= (pixels[4 * (bit * SIDE + SIDE / 2)] > 128) << bit;
  return found;
}

function look() {
  sink.requestVideoFrameCallback(look);
  const nowMs = performance.now(), found = readNumber();
  if (seen.lastMs) seen.gapsMs.push(nowMs - seen.lastMs);
  seen.lastMs = nowMs;
  // A blurred number is another one: nothing shown is older than ten seconds.
  const age = (number - found + (1 << BITS)) % (1 << BITS);
  if (found !== seen.number && age < BELIEVED) seen.latenciesMs.push(nowMs - drawnAt[found]);
  seen.number = found;
}

async function connect(connection, path) {
  await connection.setLocalDescription();
  const headers = { "Content-Type": "application/sdp" };
  const body = connection.localDescription.sdp;
  const answer = await fetch(path, { method: "POST", headers, body });
  if (answer.status !== 201) throw new Error(`${path}: ${answer.status}`);
  await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
}

function drawNoise() {
  draw();
  for (let spot = 0; spot < 200; spot++) {
    scene.fillStyle = `hsl(${Math.random() * 360} 80% 50%)`;
    scene.fillRect(Math.random() * 640, SIDE + Math.random() * 320, 12, 12);
  }
}

async function publish(encodings) {
  setInterval(encodings ? drawNoise : draw, 1000 / HZ);
  const connection = (publisher = new RTCPeerConnection());
  const [track] = document.getElementById("scene").captureStream(HZ).getTracks();
  const how = { direction: "sendonly" };
  if (encodings) how.sendEncodings = encodings;
  connection.addTransceiver(track, how);
  await connect(connection, "/whip/glass");
  await new Promise((resolve) => {
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "connected") resolve();
    };
  });
}

async function watch() {
  viewer?.close();
  viewer = new RTCPeerConnection();
  sink.srcObject = new MediaStream();
  viewer.ontrack = (event) => sink.srcObject.addTrack(event.track);
  viewer.addTransceiver("video", { direction: "recvonly" });
  const begunMs = performance.now();
  const first = new Promise((resolve) => sink.requestVideoFrameCallback(resolve));
  await connect(viewer, "/whep/glass");
  await first;
  return performance.now() - begunMs;
}

async function readStats(connection, type) {
  for (const report of (await connection.getStats()).values())
    if (report.type === type && report.kind === "video") return report;
  return {};
}

async function measure(seconds) {
  look();
  const before = await readStats(viewer, "inbound-rtp"), begun = number;
  const sentBefore = await readStats(publisher, "outbound-rtp");
  Object.assign(seen, { latenciesMs: [], gapsMs: [], lastMs: 0 });
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const after = await readStats(viewer, "inbound-rtp");
  const sent = await readStats(publisher, "outbound-rtp");
  const grew = (name) => (after[name] ?? 0) - (before[name] ?? 0);
  return {
    latenciesMs: seen.latenciesMs,
    longestGapMs: Math.max(...seen.gapsMs),
    drawn: number - begun,
    encoded: sent.framesEncoded - sentBefore.framesEncoded,
    sentBytes: sent.bytesSent - sentBefore.bytesSent,
    decoded: grew("framesDecoded"),
    frozenMs: grew("totalFreezesDuration") * 1000,
    repeated: grew("retransmittedPacketsReceived"),
  };
}
</script>
"""
