/**
 * Which way a live's picture comes: WebRTC first, low-latency HLS where that fails or when somebody
 * seeks back. Pure; `live_player.ts` carries it out.
 */

export type Way = "webrtc" | "hls";

/** So long WebRTC may be without a picture before HLS shows one. */
export const PATIENCE_MS = 5_000;
/** Interruptions within a minute after which WebRTC is said to suffer. */
export const LOSSES_MAX = 3;
const LOSSES_WITHIN_MS = 60_000;
/** HLS keeps the picture so long after WebRTC suffered, then WebRTC may have it back. */
export const REST_MS = 45_000;
/** Nearer than this to the live edge is live. */
export const LIVE_WITHIN_S = 6;

export interface WayFacts {
  nowMs: number;
  way: Way;
  isOnAir: boolean;
  /** Somebody seeks back: WebRTC has nothing to show of it. */
  isBehind: boolean;
  hasWebrtc: boolean;
  /** False: the live is sent in a codec that HLS does not carry. */
  hasHls: boolean;
  /** Since when WebRTC has no picture; null while it has one. */
  withoutSinceMs: number | null;
  /** A refusal that will not change. */
  isRefused: boolean;
  /** When WebRTC lost its picture, the latest last. */
  lossesMs: readonly number[];
}

/** The way the picture shall come now. */
export function decideWay(facts: WayFacts): Way {
  if (facts.isBehind) return "hls";
  if (!facts.isOnAir) return facts.way;
  if (facts.isRefused) return "hls";
  if (!facts.hasWebrtc) {
    const withoutMs = facts.withoutSinceMs === null ? 0 : facts.nowMs - facts.withoutSinceMs;
    return facts.way === "hls" || withoutMs >= PATIENCE_MS ? "hls" : "webrtc";
  }
  if (!facts.hasHls) return "webrtc";
  const recent = facts.lossesMs.filter((atMs) => facts.nowMs - atMs < LOSSES_WITHIN_MS);
  const lastMs = recent.at(-1) ?? Number.NEGATIVE_INFINITY;
  return recent.length >= LOSSES_MAX && facts.nowMs - lastMs < REST_MS ? "hls" : "webrtc";
}

/** "live", or how far behind it: 0:42. */
export function describeBehind(behindS: number): string {
  if (behindS < LIVE_WITHIN_S) return "live";
  const seconds = Math.round(behindS);
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = String(seconds % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest} behind` : `${minutes}:${rest} behind`;
}
