/** What one watched, as the API gives it, and telling the API where one is. */
import { api } from "../kit/api";
import type { Video } from "../videos/shapes";

export interface WatchedVideo {
  /** The video's. */
  id: string;
  video: Video;
  position_ms: number;
  resume_ms: number;
  finished: boolean;
  watched_at: string;
}

/** How much of it was watched, 0 to 1. */
export function measureWatched(entry: Pick<WatchedVideo, "position_ms" | "finished" | "video">): number {
  if (entry.finished) return 1;
  const length = entry.video.duration_ms ?? 0;
  return length > 0 ? Math.min(1, entry.position_ms / length) : 0;
}

/** Sent even while the page is being left; a lost word costs ten seconds. */
export function tellPosition(videoId: string, positionS: number): void {
  const body = { position_ms: Math.round(positionS * 1000) };
  api.put(`/history/${videoId}`, body, { keepalive: true }).catch(() => undefined);
}
