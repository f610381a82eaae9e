/**
 * Which way a live's picture comes: WebRTC first, low-latency HLS where that fails or when somebody
 * seeks back. Pure; `live_player.ts` carries it out.
 */
import type { LayerChoice } from "../kit/layers";
import type { Distress } from "./freezes";

export type Way = "webrtc" | "hls";

/** So long WebRTC may be without a picture before HLS shows one. */
export const PATIENCE_MS = 5_000;
/** Interruptions within a minute after which WebRTC is said to suffer. */
export const LOSSES_MAX = 3;
const LOSSES_WITHIN_MS = 60_000;
/** More of the time than this a picture may not stand still, where packets are lost, before WebRTC is said to suffer. */
const FROZEN_SHARE_MAX = 0.15;
/** On a connection that loses less than this a picture stands still for another reason. */
const LOST_SHARE_MIN = 0.01;
/** HLS that shows nothing for so long is no help to who suffers. */
const HELP_MS = 10_000;
/** HLS keeps the picture so long after WebRTC's last interruption, then WebRTC may have it back. */
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
  /** Until when WebRTC is left because its picture stood still; null: it is not, or HLS was no help. */
  restsUntilMs: number | null;
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
  const isLossy = recent.length >= LOSSES_MAX && facts.nowMs - lastMs < REST_MS;
  return isLossy || isResting(facts.nowMs, facts.restsUntilMs) ? "hls" : "webrtc";
}

/** Whether HLS still has the picture because WebRTC's stood still. */
export function isResting(nowMs: number, untilMs: number | null): boolean {
  return untilMs !== null && nowMs < untilMs;
}

/** Whether a connection brings too little of the picture, and no smaller one is left to take. */
export function isSuffering(distress: Distress | null, { layers, playing }: LayerChoice): boolean {
  if (distress === null) return false;
  const at = layers.findIndex((layer) => layer.encodingId === playing);
  if (layers.slice(at + 1).some((layer) => layer.active)) return false;
  return distress.frozenShare > FROZEN_SHARE_MAX && distress.lostShare >= LOST_SHARE_MIN;
}

/** Whether HLS, which is to help, has shown nothing in its time. */
export function isNoHelp(nowMs: number, sinceMs: number, hasPlayed: boolean): boolean {
  return !hasPlayed && nowMs - sinceMs >= HELP_MS;
}

/** How far behind the live end so many seconds forth, or back, are; live, once that is near when going forth. */
export function stepBehind(behindS: number, bySeconds: number): number {
  const toS = behindS - bySeconds;
  return bySeconds > 0 && toS < LIVE_WITHIN_S ? 0 : toS;
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
