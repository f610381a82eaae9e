/**
 * Publishing by WHIP (RFC 9725): sends a MediaStream to the room and comes back by itself with a
 * new session when the connection or the edge is lost. The studio shows its state and its numbers.
 */
import { decideDelay, waitMs } from "./backoff";
import { countLinesMin, decideEncodings, fitEncodings, type LargestPicture } from "./encodings";
import { ApiError } from "./errors";
import { countReceivedBytes, decideRetry, NO_WEBRTC, openPeer, preferCodec, waitMoved, waitSilent, type Peer } from "./peer";
import { Store } from "./store";

export type PublishPhase = "idle" | "connecting" | "live" | "reconnecting" | "failed" | "ended";

export interface PublishState {
  phase: PublishPhase;
  error: ApiError | null;
}

export interface PublishStats {
  bitrateBps: number;
  framesPerSecond: number;
  roundTripMs: number | null;
  width: number;
  height: number;
}

export interface PublishRequest {
  url: string;
  streamKey: string;
  stream: MediaStream;
  /** What the video may be at first; `resize` changes it. */
  largest: LargestPicture;
  /** Smaller pictures besides the full one, for viewers whose connection carries less. */
  sendsSeveral: boolean;
}

/** How a session ended: its connection broke, its edge fell silent but answers, or does not answer. */
type Fate = "lost" | "silent" | "dead";

const BACKOFF = { firstMs: 400, maxMs: 8_000 };
const SILENCE_MS = 1_500;
/** Who sends hears of it several times a second: after this long without, the edge is asked whether it lives. */
const DOUBT_MS = 1_000;
const HEALTH_TIMEOUT_MS = 4_000;
const GIVE_UP_AFTER_MS = 120_000;
/** So long a session that is over waits for its edge's word on it before it comes back; a later word counts, too. */
const GOODBYE_MS = 500;
/** Somebody else sends to the live: coming back would only push them out, and they come back as well. */
const REPLACED = "publisher_replaced";
const FINAL_STATUSES = new Set([400, 401, 403, 404, 410]);
const CANNOT_SEND = new ApiError(
  NO_WEBRTC,
  0,
  "This browser has no WebRTC, or it is switched off. Go live from another browser, or send from OBS with the stream key.",
);

export class WhipPublisher {
  readonly state = new Store<PublishState>({ phase: "idle", error: null });
  readonly #request: PublishRequest;
  /** Aborted by `stop`, or with an ApiError for its reason when somebody else sends. */
  readonly #stopping = new AbortController();
  #largest: LargestPicture;
  #resizing: Promise<void> = Promise.resolve();
  #peer: Peer | null = null;
  /** That of the session, also while it is being opened. */
  #connection: RTCPeerConnection | null = null;
  #hurry: AbortController | null = null;
  #avoid: string | null = null;
  #lastBytes: { bytes: number; atMs: number } | null = null;

  constructor(request: PublishRequest) {
    this.#request = request;
    this.#largest = request.largest;
  }

  /** Publishes until `stop`; resolves when it is over, whichever way. */
  async start(): Promise<void> {
    let lostAtMs: number | null = null;
    for (let attempt = 0; !this.#stopping.signal.aborted; attempt += 1) {
      this.state.set({ phase: lostAtMs === null ? "connecting" : "reconnecting", error: null });
      try {
        this.#peer = await openPeer({
          url: this.#request.url,
          avoid: this.#avoid,
          token: this.#request.streamKey,
          prepare: (connection) => this.#prepare(connection),
          signal: this.#stopping.signal,
        });
      } catch (error) {
        const failure = error as ApiError;
        // Who was on air has WebRTC: the browser refuses for a while, such as with too many connections.
        if (failure.code === NO_WEBRTC && lostAtMs === null) return this.#finish(CANNOT_SEND);
        lostAtMs ??= performance.now();
        if (FINAL_STATUSES.has(failure.status) || performance.now() - lostAtMs > GIVE_UP_AFTER_MS) {
          return this.#finish(failure);
        }
        const retry = decideRetry(failure, this.#avoid, decideDelay(attempt, BACKOFF));
        this.#avoid = retry.avoid;
        await this.#pause(retry.delayMs);
        continue;
      }
      const peer = this.#peer;
      this.state.set({ phase: "live", error: null });
      attempt = -1;
      this.#avoid = null;
      const fate = await this.#awaitLoss(peer);
      if (fate !== "lost") this.#avoid = peer.edge;
      lostAtMs = performance.now();
      // A dead edge cannot be told goodbye.
      const left = this.#leave(peer, fate !== "dead");
      if (this.#stopping.signal.aborted) break;
      this.state.set({ phase: "reconnecting", error: null });
      await Promise.race([left, waitMs(GOODBYE_MS, this.#stopping.signal)]);
    }
    this.#finish(null);
  }

  /** Settles when the session is over. */
  async #awaitLoss(peer: Peer): Promise<Fate> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#stopping.signal]);
    const fate = await Promise.race([peer.lost.then((): Fate => "lost"), this.#awaitDeath(peer, signal)]);
    over.abort();
    return fate;
  }

  /** Settles when the edge is silent and does not answer, or stays so; one that is busy gets time. */
  async #awaitDeath(peer: Peer, signal: AbortSignal): Promise<Fate> {
    while (peer.edge && (await waitSilent(peer.connection, DOUBT_MS, signal))) {
      const timely = AbortSignal.any([signal, AbortSignal.timeout(HEALTH_TIMEOUT_MS)]);
      const moved = waitMoved(peer.connection, timely).then(() => !timely.aborted);
      let fate: Fate = "dead";
      const answered = fetch(`${peer.edge}/health`, { mode: "no-cors", cache: "no-store", signal: timely }).then(
        () => {
          fate = "silent";
          return moved;
        },
        () => false,
      );
      if (!(await Promise.race([moved, answered])) && !signal.aborted) return fate;
    }
    return new Promise(() => undefined);
  }

  /** Closes a session that is over; where its edge says that somebody else sends, it does not come back. */
  async #leave(peer: Peer, goodbye: boolean): Promise<void> {
    const said = await peer.close(goodbye);
    if (said?.code === REPLACED && this.#peer === peer) this.#stopping.abort(said);
  }

  #finish(error: ApiError | null): void {
    const { aborted, reason } = this.#stopping.signal;
    const isStopped = aborted && !(reason instanceof ApiError);
    this.#peer = null;
    this.state.set(
      isStopped ? { phase: "ended", error: null } : { phase: "failed", error: aborted ? (reason as ApiError) : error },
    );
  }

  async #pause(ms: number): Promise<void> {
    this.#hurry = new AbortController();
    await waitMs(ms, AbortSignal.any([this.#hurry.signal, this.#stopping.signal]));
  }

  /** Ends the session at the edge, so that the room learns of it at once; `goodbye` false when it knows. */
  stop(goodbye = true): void {
    void this.#peer?.close(goodbye);
    this.#stopping.abort();
  }

  /** The room says that the picture is missing: try now, or find out whether the edge still answers. */
  async hurry(): Promise<void> {
    this.#hurry?.abort();
    const peer = this.#peer;
    if (!peer || this.state.get().phase !== "live") return;
    const before = await countReceivedBytes(peer.connection);
    await waitMs(SILENCE_MS, this.#stopping.signal);
    if (this.#peer === peer && (await countReceivedBytes(peer.connection)) === before) void peer.close();
  }

  /** Another camera or microphone without a new session. */
  async replaceTrack(track: MediaStreamTrack): Promise<void> {
    const old = this.#request.stream.getTracks().find((known) => known.kind === track.kind);
    if (old) this.#request.stream.removeTrack(old);
    this.#request.stream.addTrack(track);
    await this.#findSender(track.kind)?.replaceTrack(track);
  }

  /** Another size and rate of the video without a new session; later sessions begin with them. */
  resize(largest: LargestPicture): Promise<void> {
    this.#largest = largest;
    // One after the other: a sender takes no second change while it makes the first. A session that
    // ended meanwhile needs none.
    this.#resizing = this.#resizing.then(() => this.#fit()).catch(() => undefined);
    return this.#resizing;
  }

  /** The fewest lines the video's source may have while this session lasts. */
  get linesMin(): number {
    return countLinesMin(this.#findSender("video")?.getParameters().encodings.length ?? 1);
  }

  async #fit(): Promise<void> {
    const sender = this.#findSender("video");
    const source = this.#request.stream.getVideoTracks()[0]?.getSettings();
    if (!sender || !source) return;
    const parameters = sender.getParameters();
    const fitted = fitEncodings(source, this.#largest, parameters.encodings.length);
    parameters.encodings.forEach((encoding, place) => Object.assign(encoding, fitted[place]));
    await sender.setParameters(parameters);
  }

  #findSender(kind: string): RTCRtpSender | undefined {
    return this.#connection?.getSenders().find((known) => known.track?.kind === kind);
  }

  #prepare(connection: RTCPeerConnection): void {
    this.#connection = connection;
    const { stream, sendsSeveral } = this.#request;
    for (const track of stream.getTracks()) {
      const isVideo = track.kind === "video";
      const transceiver = connection.addTransceiver(track, {
        direction: "sendonly",
        streams: [stream],
        ...(isVideo ? { sendEncodings: decideEncodings(track.getSettings(), this.#largest, sendsSeveral) } : {}),
      });
      if (isVideo) preferCodec(transceiver, "video/H264", "send");
    }
  }

  /** What leaves this machine now; null while nothing does. */
  async readStats(): Promise<PublishStats | null> {
    const connection = this.#peer?.connection;
    if (!connection || this.state.get().phase !== "live") return null;
    const stats: PublishStats = { bitrateBps: 0, framesPerSecond: 0, roundTripMs: null, width: 0, height: 0 };
    let bytes = 0;
    (await connection.getStats()).forEach((report: Record<string, unknown>) => {
      if (report["type"] === "outbound-rtp") {
        bytes += Number(report["bytesSent"] ?? 0);
        if (report["kind"] === "video") applyVideoReport(stats, report);
      }
      if (report["type"] === "candidate-pair" && typeof report["currentRoundTripTime"] === "number") {
        stats.roundTripMs = Math.round(report["currentRoundTripTime"] * 1000);
      }
    });
    const atMs = performance.now();
    const last = this.#lastBytes;
    this.#lastBytes = { bytes, atMs };
    if (last && bytes >= last.bytes && atMs > last.atMs) {
      stats.bitrateBps = ((bytes - last.bytes) * 8000) / (atMs - last.atMs);
    }
    return stats;
  }
}

/** Of several encodings the largest counts. */
function applyVideoReport(stats: PublishStats, report: Record<string, unknown>): void {
  if (Number(report["frameWidth"] ?? 0) < stats.width) return;
  stats.framesPerSecond = Math.round(Number(report["framesPerSecond"] ?? 0));
  stats.width = Number(report["frameWidth"] ?? 0);
  stats.height = Number(report["frameHeight"] ?? 0);
}
