/** How a live goes and went, as the API says it, and as lines of a chart. Pure. */
import { formatNoun } from "../kit/words";
import type { Line } from "./chart";
import type { HlsOff } from "./kept_words";

export interface LivePoint {
  at: string;
  span_s: number;
  viewers: number;
  webrtc: number;
  hls: number;
  chat: number;
  lines: number;
  suffering: number | null;
  stalled: number | null;
  loss: number | null;
  latency_ms: number | null;
  join_ms: number | null;
  bitrate_bps: number | null;
  frames_per_s: number | null;
  keyframe_ms: number | null;
  packet_loss: number | null;
}

export interface LiveHealth {
  status: string;
  ways: { webrtc: number; hls: number; chat: number };
  visitors: number;
  ingest: {
    bitrate_bps: number;
    frames_per_s: number;
    keyframe_ms: number | null;
    packet_loss: number | null;
    /** Null: viewers can have HLS, and what comes in is stored. */
    hls_off: HlsOff | null;
    /** True: viewers have HLS alone. */
    has_b_frames: boolean;
  } | null;
  quality: {
    players: Record<string, number>;
    suffering: number | null;
    freezes: number;
    stalled: number | null;
    loss: number | null;
    latency_ms: number | null;
    latency_p95_ms: number | null;
    join_ms: number | null;
    join_p95_ms: number | null;
    rungs: Record<string, number>;
  };
  points: LivePoint[];
}

export interface LiveAnalytics {
  live_id: string;
  title: string;
  started_at: string | null;
  ended_at: string | null;
  viewers_peak: number;
  visitors: number;
  watched_s: { webrtc: number; hls: number };
  lines: number;
  points: LivePoint[];
}

/** "3 times, 1.2 % of the time", of those who told. */
export function formatFreezes({ players, freezes, stalled }: LiveHealth["quality"]): string {
  if (Object.values(players).every((count) => count === 0)) return "unknown";
  if (freezes === 0) return "never";
  return `${formatNoun(freezes, "time")}, ${formatShare(stalled)} of the time`;
}

export function formatShare(share: number | null): string {
  if (share === null) return "unknown";
  return share > 0 && share < 0.001 ? "< 0.1 %" : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/** A bound that a delay lies below. */
export function formatDelay(ms: number | null): string {
  if (ms === null) return "unknown";
  return ms < 1_000 ? `≤ ${ms} ms` : `≤ ${(ms / 1_000).toFixed(1)} s`;
}

/** "720p: 3, 360p: 1", best first; what has no number in its name comes last. */
export function formatRungs(rungs: Record<string, number>): string {
  const rank = (name: string) => parseInt(name, 10) || 0;
  const names = Object.keys(rungs).sort((a, b) => rank(b) - rank(a) || a.localeCompare(b));
  return names.length > 0 ? names.map((name) => `${name}: ${rungs[name]}`).join(", ") : "unknown";
}

export const perMinute = (point: LivePoint): number => (point.span_s > 0 ? (point.lines * 60) / point.span_s : 0);

export function listViewerLines(points: LivePoint[]): Line[] {
  return [
    { name: "All", values: points.map((point) => point.viewers) },
    { name: "WebRTC", values: points.map((point) => point.webrtc) },
    { name: "HLS", values: points.map((point) => point.hls) },
  ];
}
