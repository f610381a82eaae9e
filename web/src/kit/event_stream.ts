/**
 * Stands in for the WebSocket where none can be opened (some proxies and networks end them): the
 * same words and frames, over `GET /events` of the edge and `POST /events`, whose answers come in the stream.
 * `socket.ts` cannot tell the difference: what does not arrive ends the connection, as a socket that breaks off does.
 */
import type { Position, Words } from "./frames";
import type { Answer, Subscribe } from "./messages";

/** What `PageSocket` uses of a WebSocket. */
export interface Wire {
  readonly readyState: number;
  onopen: ((event: Event) => void) | null;
  onmessage: ((message: MessageEvent<string>) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  send: (text: string) => void;
  close: (code?: number) => void;
}

const DATA = "data: ";
const SAYING_TIMEOUT_MS = 10_000;
/** With so many that wait, the connection counts as lost. */
const UNSAID_MAX = 100;
const NOT_FOUND = 404;
const TOO_LATE = 408;
const LOST = 1006;
const SESSION_REVOKED = 4501;
const OPEN = 1;
const CLOSED = 3;

/** Takes the data of whole messages (what stands between two empty lines) off the text read so far. */
export function takeMessages(text: string): { messages: string[]; rest: string } {
  const blocks = text.split("\n\n");
  const rest = blocks.pop() ?? "";
  const lines = blocks.flatMap((block) => block.split("\n"));
  const messages = lines.filter((line) => line.startsWith(DATA)).map((line) => line.slice(DATA.length));
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

async function readRefusal(answer: Response): Promise<{ error?: string; message?: string }> {
  return (await answer.json().catch(() => ({}))) as { error?: string; message?: string };
}

export class EventStreamWire implements Wire {
  readyState = 0;
  onopen: Wire["onopen"] = null;
  onmessage: Wire["onmessage"] = null;
  onclose: Wire["onclose"] = null;
  readonly #url: string;
  readonly #fetch: typeof fetch;
  #token: string | null = null;
  /** Opened by the first channels; further ones are said to it. */
  #stream: AbortController | null = null;
  /** Where the stream hears what is said; null until it says so. */
  #key: string | null = null;
  #unsaid: Words[] = [];
  #saying: Promise<void> = Promise.resolve();

  constructor(socketUrl: string, ask: typeof fetch = (...request) => fetch(...request)) {
    this.#url = findEventsUrl(socketUrl);
    this.#fetch = ask;
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
    } else if (words.type === "subscribe" && this.#stream === null) {
      this.#follow(words);
    } else if (this.#unsaid.length < UNSAID_MAX) {
      this.#unsaid.push(words);
      this.#speak();
    } else {
      this.close(LOST);
    }
  }

  close(code = LOST): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.#unsaid = [];
    this.#stream?.abort();
    this.onclose?.({ code } as CloseEvent);
  }

  #follow(words: Subscribe): void {
    const stream = new AbortController();
    this.#stream = stream;
    void this.#read(stream.signal, words.channels, words.since ?? {})
      .catch(() => LOST)
      .then((code) => (code === null ? this.#followNext() : this.close(code)));
  }

  /** Nothing of the first channels may be followed: others may. What else was to be said then is out of date. */
  #followNext(): void {
    this.#stream = null;
    const [next, ...rest] = this.#unsaid.filter((words) => words.type === "subscribe");
    this.#unsaid = rest;
    if (next && this.readyState !== CLOSED) this.#follow(next);
  }

  /** Reads until the stream ends and returns its close code; null when nothing may be followed. */
  async #read(signal: AbortSignal, channels: string[], since: Record<string, Position>): Promise<number | null> {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    const known = writePositions(since);
    if (this.#token !== null) headers["Authorization"] = `Bearer ${this.#token}`;
    if (known !== "") headers["Last-Event-ID"] = known;
    const address = `${this.#url}?channels=${encodeURIComponent(channels.join(","))}`;
    const answer = await this.#fetch(address, { headers, signal });
    if (!answer.ok || answer.body === null) return this.#refuse(answer, channels);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return LOST;
      const { messages, rest } = takeMessages(text + value);
      text = rest;
      for (const message of messages) {
        const frame = JSON.parse(message) as { type: string; code?: number; key?: string };
        if (frame.type === "closed") return frame.code ?? LOST;
        if (frame.type === "stream") {
          this.#key = frame.key ?? null;
          this.#speak();
        } else this.#hear(message);
      }
    }
  }

  async #refuse(answer: Response, channels: string[]): Promise<number | null> {
    const { error = "error", message = "This was refused." } = await readRefusal(answer);
    if (error === "session_revoked") return SESSION_REVOKED;
    if (![403, 404, 422].includes(answer.status)) return LOST;
    for (const channel of channels) this.#say({ type: "error", channel, error, message, retryable: false });
    return null;
  }

  /** Says what is to be said, one after the other: following a channel and leaving it again has an order. */
  #speak(): void {
    const key = this.#key;
    if (key === null) return;
    this.#saying = this.#saying.then(async () => {
      for (let words = this.#unsaid.shift(); words; words = this.#unsaid.shift()) await this.#post(key, words);
    }).catch((error: unknown) => {
      this.close(LOST);
      throw error;
    });
  }

  async #post(key: string, words: Words): Promise<void> {
    const signal = AbortSignal.timeout(SAYING_TIMEOUT_MS);
    const request = { method: "POST", body: JSON.stringify(words), headers: { "Stream-Key": key }, signal };
    const answer = await this.#fetch(this.#url, request).catch(() => null);
    if (answer?.ok || this.readyState !== OPEN) return;
    if (answer === null || answer.status === NOT_FOUND || !("client_id" in words)) return this.close(LOST);
    const { error = "error", message = "This was refused." } = await readRefusal(answer);
    const retryable = answer.status >= 500 || answer.status === TOO_LATE;
    this.#say({ type: "error", client_id: words.client_id, error, message, retryable });
  }

  #say(frame: Answer): void {
    this.#hear(JSON.stringify(frame));
  }

  #hear(data: string): void {
    if (this.readyState === OPEN) this.onmessage?.({ data } as MessageEvent<string>);
  }
}
