/** Lives and chat lines as the API and the socket give them, and how the page keeps a chat. Pure. */
import type { ChannelEvent } from "../kit/frames";
import type { ChatMessage as SaidLine, MessageHeld } from "../kit/messages";
import type { Author, Visibility } from "../videos/shapes";

export type LiveStatus = "created" | "scheduled" | "live" | "interrupted" | "ended";

export interface Live {
  id: string;
  title: string;
  owner: Author;
  status: LiveStatus;
  visibility: Visibility;
  /** Null while nobody knows. */
  viewers: number | null;
  viewers_peak: number;
  created_at: string;
  /** When it will begin, or was to. */
  scheduled_at: string | null;
  started_at: string | null;
  ended_at: string | null;
  /** Whether it becomes a video when it ends, and which one it became. */
  record: boolean;
  recording_id: string | null;
  /** It was to become a video and has ended, and none comes. */
  nothing_kept: boolean;
  chat: { socket: string; channel: string };
}

/** Where media goes in; `rtmp` is null where the site takes none. */
export interface Ingest {
  whip: string;
  rtmp: string | null;
}

export interface JoinAnswer {
  playback: { whep: string; hls: string };
  chat: { socket: string; channel: string };
}

/** A line as the page keeps it. */
export type ChatMessage = Omit<SaidLine, "room" | "user" | "held_id" | "deleted"> & { user: Author | null };

/** `sending` and `failed` lines are our own and not in the room yet. */
export interface ChatLine extends ChatMessage {
  state: "sent" | "sending" | "failed" | "held";
  problem?: string;
  retryable?: boolean;
}

export const CHAT_TEXT_MAX = 500;
export const CHAT_LINES_MAX = 500;

export function isOnAir(live: Pick<Live, "status">): boolean {
  return live.status === "live" || live.status === "interrupted";
}

/** A history item: the message itself, or the event that carried it. Null for anything but chat. */
export function readMessage(item: unknown): ChatMessage | null {
  if (typeof item !== "object" || item === null) return null;
  const fields = item as Record<string, unknown>;
  const kind = fields["type"] ?? fields["kind"];
  if (kind !== undefined && kind !== "chat_message") return null;
  const data = (fields["data"] ?? fields["body"] ?? fields) as Partial<ChatMessage>;
  const id = data.id ?? fields["id"];
  if ((data as { deleted?: boolean }).deleted) return null;
  if (typeof id !== "string" || typeof data.text !== "string") return null;
  return {
    id,
    user: data.user ?? null,
    text: data.text,
    client_id: data.client_id ?? null,
    created_at: data.created_at ?? String(fields["created_at"] ?? ""),
  };
}

/** A history item that is a line of ours and waits for a moderator. */
export function readOwnHeld(item: unknown, myId: string | null): ChatLine | null {
  const { type, data } = (item ?? {}) as { type?: string; data?: Partial<MessageHeld> };
  if (type !== "message_held" || !data?.held_id || !data.user || data.text === undefined) return null;
  if (data.user.id !== myId) return null;
  return {
    id: data.held_id,
    user: data.user,
    text: data.text,
    client_id: data.client_id ?? null,
    created_at: data.at ?? "",
    state: "held",
  };
}

export function readChatEvent(event: ChannelEvent): ChatMessage | null {
  return event.type === "chat_message" ? readMessage(event.data) : null;
}

/** A line was taken down: it disappears at once, whoever wrote it. */
export function applyDeleted(lines: readonly ChatLine[], messageId: string): ChatLine[] {
  return lines.filter((line) => line.id !== messageId);
}

const REFUSED = {
  state: "failed" as const,
  problem: "Refused by a moderator; nobody else saw it.",
  retryable: false,
};

/** A moderator did not let our held line through; nobody else ever saw it. */
export function applyHeldRefused(lines: readonly ChatLine[], heldId: string): ChatLine[] {
  return lines.map((line) =>
    line.id === heldId && line.state === "held" ? { ...line, ...REFUSED } : line,
  );
}

/** A line from the room: takes the place of our own copy, is ignored when known, else goes last. */
export function applyMessage(lines: readonly ChatLine[], message: ChatMessage): ChatLine[] {
  if (lines.some((line) => line.id === message.id && line.state === "sent")) return [...lines];
  const isOurs = (line: ChatLine) =>
    line.state !== "sent" && message.client_id !== null && line.client_id === message.client_id;
  const rest = lines.filter((line) => !isOurs(line) && line.id !== message.id);
  return keepPendingLast([...rest, { ...message, state: "sent" as const }]);
}

/** What history was asked for: lines shown at that moment that are no longer in it are gone. */
export interface HistoryScope {
  /** Ids of the lines that were shown when it was asked. */
  shown: ReadonlySet<string>;
  /** It holds everything since then (ISO moment). */
  since: string;
}

const NOTHING_ASKED: HistoryScope = { shown: new Set(), since: "" };

/**
 * History under what is already there, oldest first. What happened before the channel was ours is
 * known from it alone: a line of ours in it has arrived, one that was held and is not in it was
 * refused, another one was deleted. `held` are lines of ours that nobody let through yet.
 */
export function applyHistory(
  lines: readonly ChatLine[],
  history: readonly ChatMessage[],
  held: readonly ChatLine[] = [],
  scope: HistoryScope = NOTHING_ASKED,
): ChatLine[] {
  const told = new Set([...history, ...held].map((line) => line.id));
  const toldClients = new Set(history.map((message) => message.client_id));
  const isGone = (line: ChatLine) =>
    scope.shown.has(line.id) && line.created_at >= scope.since && !told.has(line.id);
  const hasArrived = (line: ChatLine) =>
    (line.state !== "held" && told.has(line.id)) || (line.client_id !== null && toldClients.has(line.client_id));
  const sent = lines.filter((line) => line.state === "sent" && !isGone(line));
  const pending = lines
    .filter((line) => line.state !== "sent" && !hasArrived(line))
    .map((line) => (line.state === "held" && isGone(line) ? { ...line, ...REFUSED } : line));
  const known = new Set(sent.map((line) => line.id));
  const older = history
    .filter((message) => !known.has(message.id))
    .map((message) => ({ ...message, state: "sent" as const }));
  const sending = new Set(pending.map((line) => line.client_id));
  const waiting = held.filter((line) => !sending.has(line.client_id) && !pending.some(({ id }) => id === line.id));
  const all = [...older, ...sent].sort((a, b) =>
    a.created_at < b.created_at ? -1 : a.created_at > b.created_at ? 1 : 0,
  );
  return keepPendingLast([...all, ...waiting, ...pending]);
}

/** Changes our own line that is still on its way; gone when it turns out to be one that is shown. */
export function applyOwn(lines: readonly ChatLine[], clientId: string, change: Partial<ChatLine>): ChatLine[] {
  const isOurs = (line: ChatLine) => line.client_id === clientId && line.state !== "sent";
  if (lines.some((line) => line.state === "sent" && line.id === change.id)) return lines.filter((line) => !isOurs(line));
  return lines.map((line) => (isOurs(line) ? { ...line, ...change } : line));
}

function keepPendingLast(lines: ChatLine[]): ChatLine[] {
  const sent = lines.filter((line) => line.state === "sent");
  const pending = lines.filter((line) => line.state !== "sent");
  return [...sent.slice(-CHAT_LINES_MAX), ...pending];
}
