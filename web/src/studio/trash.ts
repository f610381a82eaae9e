/** Deleted videos: what their rows say, in words. Pure; the present moment comes in as an argument. */
import { formatAgo, formatBytes } from "../kit/words";

export interface TrashedVideo {
  id: string;
  title: string;
  duration_ms: number | null;
  /** So much of the quota it takes. */
  size_bytes: number;
  deleted_at: string;
  /** When its bytes go. */
  purge_at: string;
  /** It was deleted for good: that is about to happen. */
  is_final: boolean;
  is_restorable: boolean;
}

/** What becomes of it, and when. */
export function describeEnd(video: TrashedVideo, nowMs: number): string {
  if (video.is_final || Date.parse(video.purge_at) <= nowMs) return "Being removed";
  const seconds = Date.parse(video.purge_at) - nowMs;
  return `To be removed ${seconds < 60_000 ? "within a minute" : formatAgo(video.purge_at, nowMs)}`;
}

/** What deleting it for good brings about. */
export function describeLoss(video: TrashedVideo): string {
  const room = video.size_bytes > 0 ? ` It makes room for ${formatBytes(video.size_bytes)}.` : "";
  return `It can no longer be restored, and its bytes are removed within minutes.${room}`;
}

/** Whether something in the list is about to leave it. */
export function isLeaving(videos: readonly TrashedVideo[]): boolean {
  return videos.some((video) => video.is_final);
}

/** The list with an entry in its new state; one that is not there stays away. */
export function replaceTrashed(videos: TrashedVideo[], changed: TrashedVideo): TrashedVideo[] {
  return videos.map((video) => (video.id === changed.id ? changed : video));
}
