/**
 * Watching by WHEP: keeps a room's picture on screen. Connects while the room is live, notices a
 * stream that stopped without a word, and comes back by itself when the room says live again.
 */
import { decideDelay, waitMs } from "./backoff";
import type { ApiError } from "./errors";
import { openPeer, preferCodec, type Peer } from "./peer";
import { Store } from "./store";

export type WatchPhase = "waiting" | "connecting" | "playing" | "reconnecting" | "failed" | "stopped";

export interface WatchState {
  phase: WatchPhase;
  error: ApiError | null;
}

export interface WatchRequest {
  url: string;
  /** The access token, or null for somebody who is not logged in. */
  token: () => Promise<string | null>;
  onStream: (stream: MediaStream) => void;
  /** Where the session's encodings are chosen; null once the session is over. */
  onLayers: (address: string | null) => void;
}

const BACKOFF = { firstMs: 300, maxMs: 6_000 };
const FINAL_STATUSES = new Set([400, 403, 404, 410]);
/** The encoder sends B-frames: the live plays by HLS alone. */
export const NOT_FOR_WEBRTC = "b_frames";
const STALL_MS = 3_000;
const CHECK_MS = 750;

export class WhepViewer {
  readonly state = new Store<WatchState>({ phase: "waiting", error: null });
  readonly #request: WatchRequest;
  readonly #stopping = new AbortController();
  #isLive = false;
  #peer: Peer | null = null;
  #wake: AbortController = new AbortController();

  constructor(request: WatchRequest) {
    this.#request = request;
  }

  /** What the room says: true starts or hurries the connection, false lets it wait without errors. */
  setLive(isLive: boolean): void {
    this.#isLive = isLive;
    if (isLive) this.#wake.abort();
  }

  stop(): void {
    this.#stopping.abort();
    this.state.set({ phase: "stopped", error: null });
  }

  /** Keeps the picture until `stop` or a refusal that will not change. */
  async start(): Promise<void> {
    const signal = this.#stopping.signal;
    let hadPicture = false;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      if (!this.#isLive) {
        this.state.set({ phase: "waiting", error: null });
        await this.#sleep(null);
        attempt = 0;
        continue;
      }
      this.state.set({ phase: hadPicture ? "reconnecting" : "connecting", error: null });
      try {
        const peer = await this.#connect();
        this.#peer = peer;
        this.state.set({ phase: "playing", error: null });
        this.#request.onLayers(peer.layers);
        hadPicture = true;
        attempt = -1;
        await Promise.race([peer.lost, this.#waitStalled(peer)]);
        this.#peer = null;
        this.#request.onLayers(null);
        peer.close();
      } catch (error) {
        const failure = error as ApiError;
        if (signal.aborted) return;
        if (FINAL_STATUSES.has(failure.status)) return this.state.set({ phase: "failed", error: failure });
        // What WebRTC cannot show now it may show once the encoder is set up anew.
        if (failure.code === NOT_FOR_WEBRTC) this.state.set({ phase: "connecting", error: failure });
        await this.#sleep(decideDelay(attempt, BACKOFF));
      }
    }
  }

  /** About how late the picture is: what waits in the browser, and half the way there and back. */
  async measureLatencyS(): Promise<number | null> {
    if (!this.#peer) return null;
    let waitingS = 0;
    let roundTripS = 0;
    (await this.#peer.connection.getStats()).forEach((report: Record<string, unknown>) => {
      if (report["type"] === "inbound-rtp" && report["kind"] === "video") {
        const shown = Number(report["jitterBufferEmittedCount"] ?? 0);
        waitingS = shown > 0 ? Number(report["jitterBufferDelay"] ?? 0) / shown : 0;
      }
      if (report["type"] === "candidate-pair" && report["nominated"] === true) {
        roundTripS = Number(report["currentRoundTripTime"] ?? 0);
      }
    });
    return waitingS + roundTripS / 2;
  }

  /** Waits for `ms`, or without end, until the room says live or the viewer leaves. */
  async #sleep(ms: number | null): Promise<void> {
    this.#wake = new AbortController();
    const signal = AbortSignal.any([this.#wake.signal, this.#stopping.signal]);
    if (ms !== null) return waitMs(ms, signal);
    while (!signal.aborted) await waitMs(60_000, signal);
  }

  async #connect(): Promise<Peer> {
    const stream = new MediaStream();
    const peer = await openPeer({
      url: this.#request.url,
      token: await this.#request.token(),
      signal: this.#stopping.signal,
      prepare: (connection) => {
        const video = connection.addTransceiver("video", { direction: "recvonly" });
        preferCodec(video, "video/H264", "receive");
        connection.addTransceiver("audio", { direction: "recvonly" });
        connection.ontrack = (event) => stream.addTrack(event.track);
      },
    });
    this.#request.onStream(stream);
    return peer;
  }

  /** Settles when nothing arrived for a while although the room is live. */
  async #waitStalled(peer: Peer): Promise<void> {
    const signal = this.#stopping.signal;
    let bytes = -1;
    let movedAtMs = performance.now();
    while (!signal.aborted && peer.connection.connectionState !== "closed") {
      await waitMs(CHECK_MS, signal);
      const now = await countBytes(peer.connection);
      if (now !== bytes || !this.#isLive) {
        // A stream that stands still while the room is interrupted keeps its connection: the same
        // edge may go on with it; the clock starts when the room says live again.
        bytes = now;
        movedAtMs = performance.now();
      } else if (performance.now() - movedAtMs > STALL_MS) return;
    }
  }
}

async function countBytes(connection: RTCPeerConnection): Promise<number> {
  let bytes = 0;
  (await connection.getStats()).forEach((report: Record<string, unknown>) => {
    if (report["type"] === "inbound-rtp") bytes += Number(report["bytesReceived"] ?? 0);
  });
  return bytes;
}
