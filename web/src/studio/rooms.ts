/** The rooms of the control room: made, loaded, given a new key. Talks to the API; shows nothing. */
import { api } from "../kit/api";
import type { JoinAnswer, Live } from "../live/shapes";
import { findStreamKey, keepStreamKey } from "./stream_keys";

export interface Room {
  live: Live;
  socketUrl: string | null;
  whip: string;
  /** Null when this tab never learnt it. */
  streamKey: string | null;
}

/** The room behind an address, after a reload or from the viewer page. */
export async function loadRoom(id: string, signal: AbortSignal): Promise<Room> {
  const [live, join] = await Promise.all([
    api.get<Live>(`/live/${id}`, { signal }),
    api.post<JoinAnswer>(`/live/${id}/join`),
  ]);
  return { live, socketUrl: join.chat.socket, whip: addressOf(live), streamKey: findStreamKey(id) };
}

/** The WHIP address is always the API's own; it sends the publisher on to an edge. */
function addressOf(live: Live): string {
  return live.ingest?.whip ?? new URL("/whip", window.location.origin).href;
}

/** Makes a room; its key is told only now. */
export async function createRoom(
  plan: Pick<Live, "title" | "visibility" | "record">,
  scheduledAt: string | null = null,
): Promise<Room> {
  const live = await api.post<Live>("/live", { ...plan, scheduled_at: scheduledAt });
  if (live.stream_key) keepStreamKey(live.id, live.stream_key);
  return { live, socketUrl: live.chat.socket, whip: addressOf(live), streamKey: live.stream_key ?? null };
}

/** A new key; the old one stops working at once. */
export async function makeStreamKey(liveId: string): Promise<string> {
  const { stream_key: key } = await api.post<{ stream_key: string }>(`/live/${liveId}/key`);
  keepStreamKey(liveId, key);
  return key;
}
