/**
 * Watching by WHEP: keeps a room's picture on screen. Connects while the room is live, takes a second without any
 * packet for the death of the edge and joins at another one, notices a stream that stopped without a word, and comes
 * back by itself when the room says live again.
 */
import { decideDelay, waitMs } from "./backoff";
import type { ApiError } from "./errors";
import { decideRetry, NO_WEBRTC, openPeer, preferCodec, waitMoved, waitSilent, type Peer } from "./peer";
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
/** The encoder sends B-frames, or what this browser's WebRTC does not speak, if it has one: HLS plays it. */
export const NOT_FOR_WEBRTC: ReadonlySet<string> = new Set(["b_frames", "no_supported_codec", NO_WEBRTC]);
const STALL_MS = 3_000;
const CHECK_MS = 750;
/** An edge says something three times a second, also in a room that is silent. */
const SILENT_MS = 1_000;
/** The socket to an edge closed without a word: its silence needs no second to be believed. */
const DOUBT_MS = 500;
/** A picture that stands still longer than this, while another edge is asked, is said to be lost. */
const PATIENCE_MS = 2_000;

type Fate = "lost" | "silent";

/** Packets of a picture that were lost and that came, and frames that were decoded. */
export interface PictureCounts {
  lost: number;
  received: number;
  decoded: number;
}

export class WhepViewer {
  readonly state = new Store<WatchState>({ phase: "waiting", error: null });
  readonly #request: WatchRequest;
  readonly #stopping = new AbortController();
  #isLive = false;
  #peer: Peer | null = null;
  #wake: AbortController = new AbortController();
  #doubt: AbortController = new AbortController();
  #avoid: string | null = null;

  constructor(request: WatchRequest) {
    this.#request = request;
  }

  /** What the room says: true starts or hurries the connection, false lets it wait without errors. */
  setLive(isLive: boolean): void {
    this.#isLive = isLive;
    if (isLive) this.#wake.abort();
  }

  /** Something else says that the edge is gone: see whether it still sends. */
  doubt(): void {
    this.#doubt.abort();
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
        let peer: Peer | null = await this.#connect(this.#avoid, signal);
        hadPicture = true;
        attempt = -1;
        while (peer) {
          this.#peer = peer;
          this.state.set({ phase: "playing", error: null });
          this.#request.onLayers(peer.layers);
          peer = await this.#keep(peer);
        }
        this.#peer = null;
        this.#request.onLayers(null);
      } catch (error) {
        const failure = error as ApiError;
        if (signal.aborted) return;
        if (FINAL_STATUSES.has(failure.status)) return this.state.set({ phase: "failed", error: failure });
        // What WebRTC cannot show now it may show once the encoder, or the browser, is set up anew.
        if (NOT_FOR_WEBRTC.has(failure.code)) this.state.set({ phase: "connecting", error: failure });
        const retry = decideRetry(failure, this.#avoid, decideDelay(attempt, BACKOFF));
        this.#avoid = retry.avoid;
        await this.#sleep(retry.delayMs);
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

  /** What came of the picture since the connection began; null while there is none. */
  async readCounts(): Promise<PictureCounts | null> {
    if (!this.#peer) return null;
    let counts: PictureCounts | null = null;
    (await this.#peer.connection.getStats()).forEach((report: Record<string, unknown>) => {
      if (report["type"] !== "inbound-rtp" || report["kind"] !== "video") return;
      counts = {
        lost: Number(report["packetsLost"] ?? 0),
        received: Number(report["packetsReceived"] ?? 0),
        decoded: Number(report["framesDecoded"] ?? 0),
      };
    });
    return counts;
  }

  /** Waits for `ms`, or without end, until the room says live or the viewer leaves. */
  async #sleep(ms: number | null): Promise<void> {
    this.#wake = new AbortController();
    const signal = AbortSignal.any([this.#wake.signal, this.#stopping.signal]);
    if (ms !== null) return waitMs(ms, signal);
    while (!signal.aborted) await waitMs(60_000, signal);
  }

  /** Watches over a session until it is over; resolves with the one elsewhere that took its place, if any. */
  async #keep(peer: Peer): Promise<Peer | null> {
    for (;;) {
      const fate = await this.#awaitFate(peer);
      this.#avoid = fate === "silent" ? peer.edge : null;
      const next = fate === "silent" && this.#isLive ? await this.#replace(peer) : null;
      if (next === peer) {
        this.#avoid = null;
        continue;
      }
      void peer.close(fate !== "silent");
      return next;
    }
  }

  async #awaitFate(peer: Peer): Promise<Fate> {
    const over = new AbortController();
    const doubt = (this.#doubt = new AbortController());
    const signal = AbortSignal.any([over.signal, this.#stopping.signal]);
    const silent = (ms: number) => waitSilent(peer.connection, ms, signal).then((is): Fate => (is ? "silent" : "lost"));
    // Of a doubt that proves wrong nothing is heard: the edge sent something, and the watch goes on.
    const doubted = new Promise<Fate>((resolve) => {
      doubt.signal.addEventListener("abort", () => {
        const soon = AbortSignal.any([signal, AbortSignal.timeout(2 * DOUBT_MS + CHECK_MS)]);
        void waitSilent(peer.connection, DOUBT_MS, soon).then((is) => is && resolve("silent"));
      });
    });
    const lost = Promise.race([peer.lost, this.#waitStalled(peer, signal)]).then((): Fate => "lost");
    const fate = await Promise.race([lost, silent(SILENT_MS), doubted]);
    over.abort();
    return fate;
  }

  /** Joins at another edge while the silent session stays open: it may only have been busy. */
  async #replace(peer: Peer): Promise<Peer | null> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#stopping.signal]);
    const opening = this.#connect(peer.edge, signal).catch(() => null);
    const patience = setTimeout(() => this.state.set({ phase: "reconnecting", error: null }), PATIENCE_MS);
    const first = await Promise.race([opening, waitMoved(peer.connection, signal).then(() => peer)]);
    clearTimeout(patience);
    if (first === peer) {
      over.abort();
      this.state.set({ phase: "playing", error: null });
      void opening.then((late) => late?.close());
    }
    return first;
  }

  async #connect(avoid: string | null, signal: AbortSignal): Promise<Peer> {
    const streams: MediaStream[] = [];
    const peer = await openPeer({
      url: this.#request.url,
      avoid,
      token: await this.#request.token(),
      signal,
      prepare: (connection) => {
        // Each attempt brings tracks of its own; those of one before would be shown in their place.
        const tracks = new MediaStream();
        streams.push(tracks);
        const video = connection.addTransceiver("video", { direction: "recvonly" });
        preferCodec(video, "video/H264", "receive");
        connection.addTransceiver("audio", { direction: "recvonly" });
        connection.ontrack = (event) => tracks.addTrack(event.track);
      },
    });
    const stream = streams.at(-1);
    if (signal.aborted || !stream) return peer;
    this.#avoid = null;
    this.#request.onStream(stream);
    return peer;
  }

  /** Settles when nothing arrived for a while although the room is live. */
  async #waitStalled(peer: Peer, signal: AbortSignal): Promise<void> {
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
