/** The rooms of the control room: made, loaded, given another key or none. Talks to the API; shows nothing. */
import { api } from "../kit/api";
import type { Ingest, JoinAnswer, Live } from "../live/shapes";
import { findStreamKey, forgetStreamKey, keepStreamKey } from "./stream_keys";

/** What this page knows of a room's stream key. */
export interface StreamKey {
  /** How it ends; null: it was revoked, nobody can send. */
  hint: string | null;
  /** Null when this tab never learnt it. */
  text: string | null;
}

export interface Room {
  live: Live;
  socketUrl: string | null;
  ingest: Ingest;
  key: StreamKey;
}

export const LIVE_TITLE_MAX = 140;
/** So much of a key's end the API tells later. */
const HINT_CHARS = 4;
const NO_KEY: StreamKey = { hint: null, text: null };

/** The room behind an address, after a reload or from the viewer page. */
export async function loadRoom(id: string, signal: AbortSignal): Promise<Room> {
  const [live, join, shown] = await Promise.all([
    api.get<Live>(`/live/${id}`, { signal }),
    api.post<JoinAnswer>(`/live/${id}/join`),
    api.get<{ hint: string | null; ingest: Ingest }>(`/live/${id}/key`, { signal }),
  ]);
  const { hint, ingest } = shown;
  return { live, socketUrl: join.chat.socket, ingest, key: { hint, text: findStreamKey(id, hint) } };
}

/** Makes a room; its key is told only now. */
export async function createRoom(
  plan: Pick<Live, "title" | "visibility" | "record">,
  scheduledAt: string | null = null,
): Promise<Room> {
  const live = await api.post<Live & Told>("/live", { ...plan, scheduled_at: scheduledAt });
  return { live, socketUrl: live.chat.socket, ingest: live.ingest, key: noteKey(live.id, live) };
}

/** What is told of a key once, when it is made. */
interface Told {
  stream_key: string;
  ingest: Ingest;
}

/** Another key; the one before stops working at once. */
export async function makeStreamKey(liveId: string): Promise<StreamKey> {
  return noteKey(liveId, await api.post<Told>(`/live/${liveId}/key`));
}

/** No key any more: whoever sends is cut. */
export async function revokeStreamKey(liveId: string): Promise<StreamKey> {
  await api.delete(`/live/${liveId}/key`);
  forgetStreamKey(liveId);
  return NO_KEY;
}

function noteKey(liveId: string, { stream_key: text }: Told): StreamKey {
  keepStreamKey(liveId, text);
  return { hint: text.slice(-HINT_CHARS), text };
}
