/**
 * Stands in for the WebSocket where none can be opened (some proxies and networks end them): the
 * same words and frames, over `GET /events` of the edge and `POST /v1/live/{id}/messages` and `/reactions`.
 * `socket.ts` cannot tell the difference, except that typing is not sent and reactions are one in two seconds.
 */
import { api } from "./api";
import { ApiError } from "./errors";
import type { Position, Words } from "./frames";
import type { Ack, Answer } from "./messages";

/** What `PageSocket` uses of a WebSocket. */
export interface Wire {
  readonly readyState: number;
  onopen: ((event: Event) => void) | null;
  onmessage: ((message: MessageEvent<string>) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  send: (text: string) => void;
  close: (code?: number) => void;
}

/** A line as the API acknowledges it. */
type Stored = Omit<Ack, "type" | "client_id">;

export interface StreamPorts {
  fetch: typeof fetch;
  post: (room: string, line: { client_id: string; text: string }) => Promise<Stored>;
  react: (room: string, reaction: string) => Promise<unknown>;
}

const CHANNELS_MAX = 50;
/** Each is a request, of which somebody has 60 a minute for everything they do. */
const REACT_EVERY_MS = 2_000;
const LOST = 1006;
const SESSION_REVOKED = 4501;
const OPEN = 1;
const CLOSED = 3;

const PORTS: StreamPorts = {
  fetch: (...request) => fetch(...request),
  post: (room, line) => api.post<Stored>(`/live/${room}/messages`, line),
  react: (room, reaction) => api.post(`/live/${room}/reactions`, { reaction }),
};

/** One message of a stream: what stands between two empty lines. */
export interface StreamMessage {
  id: string | null;
  data: string | null;
}

/** Takes whole messages off the text read so far; returns them and what is left over. */
export function takeMessages(text: string): { messages: StreamMessage[]; rest: string } {
  const blocks = text.split("\n\n");
  const rest = blocks.pop() ?? "";
  const messages = blocks.map((block) => {
    const message: StreamMessage = { id: null, data: null };
    for (const line of block.split("\n")) {
      if (line.startsWith("id: ")) message.id = line.slice(4);
      else if (line.startsWith("data: ")) message.data = line.slice(6);
    }
    return message;
  });
  return { messages, rest };
}

/** Writes where channels stand as the edge's `Last-Event-ID`. */
export function writePositions(positions: Record<string, Position>): string {
  return Object.entries(positions)
    .map(([channel, { epoch, offset }]) => `${channel}=${epoch}:${offset}`)
    .join(",");
}

/** The stream's address beside the socket's. */
export function findEventsUrl(socketUrl: string): string {
  return socketUrl.replace(/^ws/, "http").replace(/\/ws$/, "/events");
}

export class EventStreamWire implements Wire {
  readyState = 0;
  onopen: Wire["onopen"] = null;
  onmessage: Wire["onmessage"] = null;
  onclose: Wire["onclose"] = null;
  readonly #url: string;
  readonly #ports: StreamPorts;
  readonly #channels = new Set<string>();
  #token: string | null = null;
  #lastId = "";
  #reading: AbortController | null = null;
  #reactedMs = 0;

  constructor(socketUrl: string, ports: StreamPorts = PORTS) {
    this.#url = findEventsUrl(socketUrl);
    this.#ports = ports;
    queueMicrotask(() => {
      if (this.readyState === CLOSED) return;
      this.readyState = OPEN;
      this.onopen?.(new Event("open"));
    });
  }

  send(text: string): void {
    const words = JSON.parse(text) as Words;
    if (words.type === "authenticate") {
      this.#token = words.token;
      queueMicrotask(() => this.#say({ type: "authenticated", user: null }));
    } else if (words.type === "subscribe") {
      for (const channel of words.channels) this.#channels.add(channel);
      this.#read(words.since ?? {});
    } else if (words.type === "unsubscribe") {
      for (const channel of words.channels) this.#channels.delete(channel);
      this.#read({});
    } else if (words.type === "chat_send") {
      void this.#post(words.room, words.client_id, words.text);
    } else if (words.type === "react" && Date.now() - this.#reactedMs >= REACT_EVERY_MS) {
      this.#reactedMs = Date.now();
      this.#ports.react(words.room, words.reaction).catch(() => undefined); // it may be lost, as on a socket
    }
  }

  close(code = LOST): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.#reading?.abort();
    this.onclose?.({ code } as CloseEvent);
  }

  /** Follows the present channels from where each stands; what was read before goes on from there. */
  #read(since: Record<string, Position>): void {
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    if (this.#channels.size === 0) return;
    const known = [this.#lastId, writePositions(since)].filter((part) => part !== "").join(",");
    void this.#follow(reading.signal, known).then(
      (code) => reading.signal.aborted || code === null || this.close(code),
      () => reading.signal.aborted || this.close(LOST),
    );
  }

  /** Reads until the stream ends and returns its close code; null when nothing may be followed. */
  async #follow(signal: AbortSignal, lastId: string): Promise<number | null> {
    const channels = [...this.#channels].slice(0, CHANNELS_MAX);
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (this.#token !== null) headers["Authorization"] = `Bearer ${this.#token}`;
    if (lastId !== "") headers["Last-Event-ID"] = lastId;
    const address = `${this.#url}?channels=${encodeURIComponent(channels.join(","))}`;
    const answer = await this.#ports.fetch(address, { headers, signal });
    if (!answer.ok || answer.body === null) return this.#refuse(answer, channels);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return LOST;
      const { messages, rest } = takeMessages(text + value);
      text = rest;
      for (const message of messages) {
        if (signal.aborted) return LOST;
        this.#lastId = message.id ?? this.#lastId;
        if (message.data === null) continue;
        const frame = JSON.parse(message.data) as { type: string; code?: number };
        if (frame.type === "closed") return frame.code ?? LOST;
        this.#hear(message.data);
      }
    }
  }

  async #refuse(answer: Response, channels: string[]): Promise<number | null> {
    const body = (await answer.json().catch(() => ({}))) as { error?: string; message?: string };
    if (body.error === "session_revoked") return SESSION_REVOKED;
    if (![403, 404, 422].includes(answer.status)) return LOST;
    for (const channel of channels) {
      const { error = "error", message = "This was refused." } = body;
      this.#say({ type: "error", channel, error, message, retryable: false });
    }
    return null;
  }

  async #post(room: string, clientId: string, text: string): Promise<void> {
    try {
      const stored = await this.#ports.post(room, { client_id: clientId, text });
      this.#say({ ...stored, type: "ack", client_id: clientId });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const { code, message } = error;
      const retryable = error.isOffline || error.status >= 500 || error.status === 429;
      const wait = error.retryAfterS === null ? {} : { retry_after_s: error.retryAfterS };
      this.#say({ type: "error", client_id: clientId, error: code, message, retryable, ...wait });
    }
  }

  #say(frame: Answer): void {
    this.#hear(JSON.stringify(frame));
  }

  #hear(data: string): void {
    if (this.readyState === OPEN) this.onmessage?.({ data } as MessageEvent<string>);
  }
}
