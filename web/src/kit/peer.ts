/**
 * One WebRTC session with a media edge: offer, HTTP exchange, answer, loss, goodbye (RFC 9725 and
 * WHEP use the same exchange). Knows nothing of rooms or retries; `whip.ts` and `whep.ts` do.
 */
import { waitMs } from "./backoff";
import { ApiError, readError } from "./errors";
import { findRelays, NeededRelays } from "./ice_servers";
import { findLayerAddress } from "./layers";

const GATHER_MS = 1_500;
const EXCHANGE_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** A path that takes longer than this to be found is tried once more, through the edge's TURN servers. */
const RELAY_AFTER_MS = 2_500;
const DISCONNECTED_GRACE_MS = 2_000;
const SILENCE_CHECK_MS = 200;

export interface PeerRequest {
  url: string;
  /** The edge that just failed: the API shall name another one. */
  avoid?: string | null;
  token: string | null;
  /** Adds tracks or transceivers before the offer is made; called for each attempt. */
  prepare: (connection: RTCPeerConnection) => void;
  signal: AbortSignal;
}

export interface Peer {
  connection: RTCPeerConnection;
  /** Where the session's encodings are listed and chosen; null where the server has no such address. */
  layers: string | null;
  /** The edge that holds the session: `http://host:port`. */
  edge: string | null;
  /** Settles once, when the connection is gone for good. */
  lost: Promise<void>;
  /**
   * Closes at once; unless the edge is dead, tells it so (DELETE on the session). Resolves, again and again, with what
   * the edge had to say of a session that was over already, null when nothing; never where no answer comes.
   */
  close: (goodbye?: boolean) => Promise<ApiError | null>;
}

/** An edge took no session; the API may know another one. */
export class EdgeRefused extends ApiError {
  constructor(
    refusal: ApiError,
    readonly edge: string,
  ) {
    super(refusal.code, refusal.status, refusal.message, refusal.requestId, refusal.details, refusal.retryAfterS);
  }
}

export interface Retry {
  avoid: string | null;
  delayMs: number;
}

/** How to go on after a refusal: at another edge where this one is full, else not before it said. */
export function decideRetry(failure: ApiError, avoided: string | null, delayMs: number): Retry {
  if (failure.status !== 503) return { avoid: avoided, delayMs };
  const edge = failure instanceof EdgeRefused ? failure.edge : null;
  if (edge !== null && edge !== avoided) return { avoid: edge, delayMs };
  return { avoid: avoided, delayMs: Math.max(delayMs, (failure.retryAfterS ?? 0) * 1_000) };
}

/** An address of the API's, asked not to name the edge that just failed. */
export function addAvoid(url: string, avoid: string | null | undefined): string {
  return avoid ? `${url}${url.includes("?") ? "&" : "?"}avoid=${encodeURIComponent(avoid)}` : url;
}

/** Whether nothing at all came for `ms`; ends with false when the signal says so. Checks often. */
export async function waitSilent(connection: RTCPeerConnection, ms: number, signal: AbortSignal): Promise<boolean> {
  let bytes = -1;
  let movedAtMs = performance.now();
  while (!signal.aborted && connection.connectionState !== "closed") {
    const now = await countReceivedBytes(connection);
    if (now !== bytes) {
      bytes = now;
      movedAtMs = performance.now();
    } else if (performance.now() - movedAtMs >= ms) return true;
    await waitMs(SILENCE_CHECK_MS, signal);
  }
  return false;
}

/** Settles once anything comes from the edge. */
export async function waitMoved(connection: RTCPeerConnection, signal: AbortSignal): Promise<void> {
  const bytes = await countReceivedBytes(connection);
  while (!signal.aborted) {
    await waitMs(SILENCE_CHECK_MS, signal);
    if ((await countReceivedBytes(connection)) !== bytes) return;
  }
}

/**
 * Bytes that came from the edge since the connection began, control packets included. NaN where the browser does not
 * say, which equals nothing: it never stands still.
 */
export async function countReceivedBytes(connection: RTCPeerConnection): Promise<number> {
  const counted = new Map<unknown, number>();
  (await connection.getStats()).forEach((report: Record<string, unknown>) => {
    const { type, bytesReceived } = report;
    if (typeof bytesReceived === "number") counted.set(type, (counted.get(type) ?? 0) + bytesReceived);
  });
  // Firefox before 154 counts them by candidate pair alone.
  return counted.get("transport") ?? counted.get("candidate-pair") ?? NaN;
}

/** Puts a codec first without refusing the others. */
export function preferCodec(transceiver: RTCRtpTransceiver, mimeType: string, direction: "send" | "receive"): void {
  const side = direction === "send" ? RTCRtpSender : RTCRtpReceiver;
  const codecs = side.getCapabilities?.("video")?.codecs ?? [];
  const first = codecs.filter((codec) => codec.mimeType.toLowerCase() === mimeType.toLowerCase());
  if (first.length === 0 || !("setCodecPreferences" in transceiver)) return;
  transceiver.setCodecPreferences([...first, ...codecs.filter((codec) => !first.includes(codec))]);
}

/** No path to the edge was found; `relays` are the TURN servers that it named. */
class NoPath extends ApiError {
  constructor(
    failure: string,
    readonly relays: RTCIceServer[],
  ) {
    super("webrtc_failed", 0, failure);
  }
}

/** The browser makes no connection at all: it has no WebRTC, or that is switched off. */
export const NO_WEBRTC = "no_webrtc";

const needed = new NeededRelays();

/** Opens a session and resolves when media can flow; throws `ApiError`, everything closed. */
export async function openPeer(request: PeerRequest): Promise<Peer> {
  const known = needed.list(performance.now());
  try {
    return await openSession(request, known);
  } catch (error) {
    if (!(error instanceof NoPath) || request.signal.aborted) throw error;
    needed.forget();
    if (known.length > 0 || error.relays.length === 0) throw error;
    const peer = await openSession(request, error.relays);
    needed.keep(error.relays, performance.now());
    return peer;
  }
}

async function openSession(request: PeerRequest, relays: RTCIceServer[]): Promise<Peer> {
  const connection = makeConnection(relays);
  const gone = new AbortController();
  let resource: string | null = null;
  let layers: string | null = null;
  let farewell: Promise<ApiError | null> | null = null;
  const end = async (goodbye: boolean): Promise<ApiError | null> => {
    connection.close();
    // The browser tells nobody about a connection that we close ourselves.
    gone.abort();
    return goodbye && resource !== null ? await sayGoodbye(resource) : null;
  };
  const close = (goodbye = true) => (farewell ??= end(goodbye));
  try {
    request.prepare(connection);
    await connection.setLocalDescription(await connection.createOffer());
    await waitGathered(connection, request.signal);
    const answer = await exchange(request, connection.localDescription?.sdp ?? "");
    resource = answer.resource;
    layers = answer.layers;
    await connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    const hasMore = relays.length === 0 && answer.relays.length > 0;
    const failure = await waitConnected(connection, hasMore ? RELAY_AFTER_MS : CONNECT_TIMEOUT_MS, request.signal);
    if (failure) throw new NoPath(failure, answer.relays);
  } catch (error) {
    void close();
    throw error instanceof ApiError ? error : new ApiError("webrtc_failed", 0, describeFailure(error));
  }
  const edge = resource ? new URL(resource).origin : null;
  const lost = waitLost(connection, AbortSignal.any([request.signal, gone.signal]));
  return { connection, layers, edge, lost, close };
}

async function sayGoodbye(resource: string): Promise<ApiError | null> {
  try {
    const response = await fetch(resource, { method: "DELETE", keepalive: true });
    if (response.ok) return null;
    return readError(response.status, parseBody(await response.text()), response.headers);
  } catch {
    return null; // the edge has no word on it
  }
}

function makeConnection(relays: RTCIceServer[]): RTCPeerConnection {
  try {
    return new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: relays });
  } catch {
    // Servers that the browser does not take say nothing about WebRTC itself.
    if (relays.length > 0) return makeConnection([]);
    throw new ApiError(NO_WEBRTC, 0, "This browser has no WebRTC, or it is switched off.");
  }
}

function describeFailure(error: unknown): string {
  return error instanceof Error && error.message ? error.message : "The media connection failed.";
}

async function waitGathered(connection: RTCPeerConnection, signal: AbortSignal): Promise<void> {
  if (connection.iceGatheringState === "complete") return;
  const complete = new Promise<void>((resolve) => {
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState === "complete") resolve();
    });
  });
  await Promise.race([complete, waitMs(GATHER_MS, signal)]);
}

interface Answer {
  sdp: string;
  resource: string | null;
  layers: string | null;
  relays: RTCIceServer[];
}

async function exchange(request: PeerRequest, offer: string): Promise<Answer> {
  const headers: Record<string, string> = { "Content-Type": "application/sdp", Accept: "application/sdp" };
  if (request.token) headers["Authorization"] = `Bearer ${request.token}`;
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(EXCHANGE_TIMEOUT_MS)]);
  let response: Response;
  try {
    // fetch follows the API's 307 to the edge by itself and keeps method and body.
    response = await fetch(addAvoid(request.url, request.avoid), { method: "POST", headers, body: offer, signal });
  } catch {
    throw new ApiError("edge_unreachable", 0, "The media server cannot be reached.");
  }
  const text = await response.text();
  if (response.status !== 201 && response.status !== 200) {
    const refusal = readError(response.status, parseBody(text), response.headers);
    throw response.redirected ? new EdgeRefused(refusal, new URL(response.url).origin) : refusal;
  }
  const location = response.headers.get("location");
  return {
    sdp: text,
    resource: location ? new URL(location, response.url).href : null,
    layers: findLayerAddress(response.headers.get("link"), response.url),
    relays: findRelays(response.headers.get("link")),
  };
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text.length > 0 && text.length < 200 ? { message: text } : null;
  }
}

/** Resolves with null once connected, else with why not. */
function waitConnected(connection: RTCPeerConnection, ms: number, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish("The media connection took too long."), ms);
    const finish = (failure: string | null) => {
      clearTimeout(timer);
      connection.removeEventListener("connectionstatechange", check);
      signal.removeEventListener("abort", stopped);
      resolve(failure);
    };
    const stopped = () => finish("Stopped.");
    const check = () => {
      if (connection.connectionState === "connected") finish(null);
      if (connection.connectionState === "failed") finish("No network path to the media server was found.");
    };
    connection.addEventListener("connectionstatechange", check);
    signal.addEventListener("abort", stopped);
    if (signal.aborted) stopped();
    else check();
  });
}

function waitLost(connection: RTCPeerConnection, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const check = () => {
      clearTimeout(timer);
      const state = connection.connectionState;
      if (state === "failed" || state === "closed") resolve();
      if (state === "disconnected") timer = setTimeout(resolve, DISCONNECTED_GRACE_MS);
    };
    connection.addEventListener("connectionstatechange", check);
    signal.addEventListener("abort", () => resolve());
    if (signal.aborted) resolve();
    check();
  });
}
