/** Deleted videos: what their rows say, in words. Pure; the present moment comes in as an argument. */
import { ApiError } from "../kit/errors";
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

/** The first entries of the trash as the server has them now, last deleted first. */
export interface TrashLook {
  items: TrashedVideo[];
  /** There are no further ones. */
  isWhole: boolean;
}

/** When the first of those was deleted that are about to leave: a look has to reach behind it. */
export function findOldestLeaving(videos: readonly TrashedVideo[]): string | null {
  const times = videos.filter((video) => video.is_final).map((video) => video.deleted_at);
  return times.length === 0 ? null : times.reduce((a, b) => (Date.parse(b) < Date.parse(a) ? b : a));
}

/** Whether a look has every entry deleted then; times are cut to milliseconds, so an equal one does not tell. */
export function isReached(look: TrashLook, deletedAt: string): boolean {
  const last = look.items.at(-1);
  return look.isWhole || (last !== undefined && Date.parse(last.deleted_at) < Date.parse(deletedAt));
}

/**
 * The known list as a look found it: known entries in their new state, without those that were about to leave
 * and are no longer there. What the look did not reach stays as it is, and nothing is added.
 */
export function mergeTrashed(known: TrashedVideo[], look: TrashLook): TrashedVideo[] {
  const found = new Map(look.items.map((video) => [video.id, video]));
  const isGone = (video: TrashedVideo) => video.is_final && !found.has(video.id) && isReached(look, video.deleted_at);
  return known.filter((video) => !isGone(video)).map((video) => found.get(video.id) ?? video);
}

/** Whether the server refused because the video is not in the trash: restored elsewhere, or removed. */
export function isNotInTrash(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404 && error.code === "video_not_found";
}

/** The list with an entry in its new state; one that is not there stays away. */
export function replaceTrashed(videos: TrashedVideo[], changed: TrashedVideo): TrashedVideo[] {
  return videos.map((video) => (video.id === changed.id ? changed : video));
}
