/** Playlists as the API gives them, and moving a video within one. */
import { api } from "../kit/api";
import type { Author, Video } from "../videos/shapes";

export type PlaylistVisibility = "public" | "unlisted" | "private";

export interface Playlist {
  id: string;
  kind: "made" | "watch_later";
  title: string;
  description: string;
  visibility: PlaylistVisibility;
  owner: Author;
  /** How many are in it. */
  videos: number;
  has_video: boolean;
  created_at: string;
}

export const PLAYLIST_VISIBILITIES: readonly { value: PlaylistVisibility; label: string }[] = [
  { value: "private", label: "Private" },
  { value: "unlisted", label: "Unlisted" },
  { value: "public", label: "Public" },
];

/** The order after the item at `from` was put to `to`. Pure. */
export function moveItem<T>(items: readonly T[], from: number, to: number): T[] {
  const others = items.filter((_, index) => index !== from);
  const item = items[from];
  if (item === undefined) return [...items];
  const at = Math.max(0, Math.min(others.length, to));
  return [...others.slice(0, at), item, ...others.slice(at)];
}

/** What plays after a video; null at the end, and for a video that is not in the list. Pure. */
export function findNext(videos: readonly Video[], id: string): Video | null {
  const index = videos.findIndex((video) => video.id === id);
  return index < 0 ? null : (videos[index + 1] ?? null);
}

export function placeVideo(playlistId: string, videoId: string, position: number | null = null): Promise<Playlist> {
  return api.put<Playlist>(`/playlists/${playlistId}/videos/${videoId}`, { position });
}

export function removeVideo(playlistId: string, videoId: string): Promise<void> {
  return api.delete(`/playlists/${playlistId}/videos/${videoId}`);
}
