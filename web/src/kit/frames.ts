/**
 * What frames of the socket mean, and the memory of where each channel stands. Pure: `socket.ts` owns
 * the connection and asks this module what a frame means and what to say after a reconnect. What
 * frames look like is made from the server's own shapes (`messages.ts`).
 */
import type { Ack, ChannelState, EventData, Position, Refusal } from "./messages";

export type { Position, Words } from "./messages";

/** An event; its type says what its data is. Durable ones have a position. */
export type ChannelEvent = {
  [Kind in keyof EventData]: Partial<Position> & { type: Kind; channel: string; data: EventData[Kind] };
}[keyof EventData];

export type ChatAck = Pick<Ack, "message_id" | "offset"> & { held: boolean };

type Optional = "client_id" | "channel" | "retry_after_s";

/** A refusal with everything said: null for what it does not name. */
export type SocketRefusal = Omit<Refusal, "type" | Optional> & {
  [Key in Optional]: NonNullable<Refusal[Key]> | null;
};

export type Incoming =
  | { kind: "authenticated" }
  | { kind: "subscribed"; channels: Record<string, SubscribedState> }
  | { kind: "events"; events: ChannelEvent[] }
  | { kind: "reload"; channel: string }
  | { kind: "ack"; clientId: string; ack: ChatAck }
  | { kind: "refusal"; refusal: SocketRefusal }
  | { kind: "unknown" };

/** "first": events come from now on. "resumed": what was missed is replayed. "lost": it is not. */
export type Subscribed = "first" | "resumed" | "lost";

export type SubscribedState = Partial<ChannelState>;

type Fields = Record<string, unknown>;

/** Reads one text frame; whatever is not understood is `unknown`, never an exception. */
export function readFrame(text: string): Incoming {
  let frame: Fields;
  try {
    frame = JSON.parse(text) as Fields;
  } catch {
    return { kind: "unknown" };
  }
  if (typeof frame !== "object" || frame === null) return { kind: "unknown" };
  switch (frame["type"]) {
    case "authenticated":
      return { kind: "authenticated" };
    case "subscribed":
      return { kind: "subscribed", channels: readSubscribed(frame) };
    case "batch":
      return { kind: "events", events: readEvents(frame["events"]) };
    case "reload":
      return { kind: "reload", channel: String(frame["channel"] ?? "") };
    case "ack":
      return { kind: "ack", clientId: String(frame["client_id"]), ack: readAck(frame) };
    case "error":
      return { kind: "refusal", refusal: readRefusal(frame) };
    default:
      return { kind: "events", events: readEvents([frame]) };
  }
}

function readAck(frame: Fields): ChatAck {
  return {
    message_id: String(frame["message_id"] ?? ""),
    offset: Number(frame["offset"] ?? 0),
    held: frame["held"] === true,
  };
}

function readRefusal(frame: Fields): SocketRefusal {
  return {
    client_id: typeof frame["client_id"] === "string" ? frame["client_id"] : null,
    channel: typeof frame["channel"] === "string" ? frame["channel"] : null,
    error: String(frame["error"] ?? "error"),
    message: String(frame["message"] ?? "This was refused."),
    retryable: frame["retryable"] === true,
    retry_after_s: typeof frame["retry_after_s"] === "number" ? frame["retry_after_s"] : null,
  };
}

function readEvents(list: unknown): ChannelEvent[] {
  if (!Array.isArray(list)) return [];
  return (list as Fields[]).filter(
    (event) => typeof event?.["type"] === "string" && typeof event["channel"] === "string",
  ) as unknown as ChannelEvent[];
}

/** The channels stand beside `type` by their names (`{"type":"subscribed","room:1":{…}}`) or under `channels`. */
function readSubscribed(frame: Fields): Record<string, SubscribedState> {
  const nested = frame["channels"];
  const source = typeof nested === "object" && nested !== null && !Array.isArray(nested) ? (nested as Fields) : frame;
  const channels: Record<string, SubscribedState> = {};
  for (const [name, state] of Object.entries(source)) {
    if (name !== "type" && typeof state === "object" && state !== null) channels[name] = state as SubscribedState;
  }
  if (typeof frame["channel"] === "string") channels[frame["channel"]] = frame as SubscribedState;
  return channels;
}

/** Remembers, per durable channel, the last offset that was handed on. */
export class ChannelBook {
  readonly #positions = new Map<string, Position>();
  readonly #heard = new Set<string>();

  /** False for an event that was handed on before; ephemeral events have no offset and always pass. */
  accept(event: ChannelEvent): boolean {
    if (event.offset === undefined || event.epoch === undefined) return true;
    const known = this.#positions.get(event.channel);
    if (known && known.epoch === event.epoch && event.offset <= known.offset) return false;
    this.#positions.set(event.channel, { epoch: event.epoch, offset: event.offset });
    return true;
  }

  /** Takes the server's answer to a subscription and says what it means for those who listen. */
  applySubscribed(channel: string, state: SubscribedState): Subscribed {
    const isFirst = !this.#heard.has(channel);
    this.#heard.add(channel);
    // Without offsets nothing is replayed: whatever happened while we were away is lost.
    if (state.epoch === undefined || state.offset === undefined) return isFirst ? "first" : "lost";
    const known = this.#positions.get(channel);
    if (known && known.epoch === state.epoch && state.recovered !== false) return "resumed";
    this.#positions.set(channel, { epoch: state.epoch, offset: state.offset });
    return isFirst ? "first" : "lost";
  }

  /** What to send as `since` so that the server replays from here. */
  since(channels: readonly string[]): Record<string, Position> {
    const since: Record<string, Position> = {};
    for (const channel of channels) {
      const position = this.#positions.get(channel);
      if (position) since[channel] = position;
    }
    return since;
  }

  forget(channel: string): void {
    this.#positions.delete(channel);
    this.#heard.delete(channel);
  }
}

/** The close-code rule: 3500–3999 and 4500–4999 are final, everything else comes back. */
export function decideReconnect(code: number): boolean {
  return !((code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999));
}
