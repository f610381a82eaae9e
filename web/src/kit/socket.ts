/**
 * The page's one WebSocket. Features subscribe to channels and send chat lines; this class keeps
 * the connection, authenticates, resumes where each channel stood and repeats unacknowledged lines.
 * It decides nothing about what events mean. Connects on the first subscription, rests without any.
 */
import { decideDelay } from "./backoff";
import { ApiError } from "./errors";
import type { Wire } from "./event_stream";
import {
  ChannelBook,
  decideReconnect,
  readFrame,
  type ChannelEvent,
  type ChatAck,
  type Incoming,
  type SocketRefusal,
  type Subscribed,
  type Words,
} from "./frames";
import { Store } from "./store";

/** How the page hears: over its socket, or over a stream because no socket could be opened. */
export type Way = "socket" | "stream";

export type SocketState = "idle" | "connecting" | "open" | "waiting" | "refused";

export interface ChannelHandlers {
  onEvent: (event: ChannelEvent) => void;
  /** From here on every event comes; what was loaded earlier may already be old. */
  onSubscribed?: () => void;
  /** Something was missed and cannot be replayed: load the state again. */
  onReload?: () => void;
  /** This may not be followed, or not any more. */
  onRefused?: () => void;
}

export interface SocketPorts {
  /** Asks for an address; `avoid` is the edge whose socket just broke off, if one did. */
  locate: (avoid: string | null) => Promise<string>;
  /** The access token; `renew` asks for another than the one that was just refused. */
  token: (renew: boolean) => Promise<string | null>;
  /** The server ended the login behind this socket. */
  onRevoked: () => void;
  open: (url: string) => Wire;
  /** The way for networks that let no WebSocket through. */
  openStream: (url: string) => Wire;
}

interface PendingLine {
  frame: string;
  resolve: (ack: ChatAck) => void;
  reject: (error: ApiError) => void;
  timer: ReturnType<typeof setTimeout>;
}

const BACKOFF = { firstMs: 400, maxMs: 6_000 };
const LINE_TIMEOUT_MS = 15_000;
const HANDSHAKE_TIMEOUT_MS = 8_000;
const IDLE_MS = 20_000;
const GATHER_MS = 40;
const AGAIN_MS = 2_000;
const CHANNELS_PER_FRAME = 50;
const SESSION_REVOKED = 4501;
/** The connection ended without a goodbye: the edge may be dead. */
const BROKEN_OFF = 1006;
const PENDING_MAX = 50;
/**
 * So many sockets in a row that never opened send the next attempt another way. A browser does not tell a network
 * that lets none through from an edge that is out of breath for a second or two: these tries last longer than that.
 */
const UNOPENED_MAX = 4;
/** On a stream, the socket is tried again after so long; twice as long each time it is in vain. */
const STREAM = { firstMs: 60_000, maxMs: 16 * 60_000 };

export class PageSocket {
  readonly state = new Store<SocketState>("idle");
  readonly way = new Store<Way>("socket");
  readonly #ports: SocketPorts;
  readonly #book = new ChannelBook();
  readonly #handlers = new Map<string, Set<ChannelHandlers>>();
  readonly #pending = new Map<string, PendingLine>();
  #isAttended = true;
  #socket: Wire | null = null;
  #unopened = 0;
  #streamUntilMs = 0;
  #streamMs = STREAM.firstMs;
  #probe: ReturnType<typeof setTimeout> | undefined;
  #run = 0;
  #attempt = 0;
  #urlHint: string | null = null;
  #avoid: string | null = null;
  /** Asked for on this connection. */
  readonly #followed = new Set<string>();
  readonly #wished = new Set<string>();
  /** Answered by the server on this connection. */
  readonly #confirmed = new Set<string>();
  #gathering: ReturnType<typeof setTimeout> | undefined;
  #tokenRefused = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ports: SocketPorts) {
    this.#ports = ports;
  }

  /** Listens to a channel until the returned function is called; `urlHint` saves asking for an address. */
  subscribe(channel: string, handlers: ChannelHandlers, urlHint: string | null = null): () => void {
    const set = this.#handlers.get(channel) ?? new Set<ChannelHandlers>();
    const isFirst = set.size === 0;
    set.add(handlers);
    this.#handlers.set(channel, set);
    this.#urlHint ??= urlHint;
    if (isFirst) this.#wish(channel);
    else if (this.#confirmed.has(channel)) queueMicrotask(() => set.has(handlers) && handlers.onSubscribed?.());
    this.#wake();
    return () => this.#unsubscribe(channel, handlers);
  }

  #unsubscribe(channel: string, handlers: ChannelHandlers): void {
    const set = this.#handlers.get(channel);
    if (!set?.delete(handlers) || set.size > 0) return;
    this.#handlers.delete(channel);
    this.#book.forget(channel);
    this.#confirmed.delete(channel);
    this.#wish(channel);
    if (this.#handlers.size === 0) this.#later(IDLE_MS, () => this.#rest());
  }

  /** Channels that come and go while scrolling are gathered into one frame. */
  #wish(channel: string): void {
    if (this.state.get() !== "open") return;
    this.#wished.add(channel);
    this.#gathering ??= setTimeout(() => this.#sendWishes(), GATHER_MS);
  }

  #sendWishes(): void {
    this.#gathering = undefined;
    const wished = [...this.#wished];
    this.#wished.clear();
    const leave = wished.filter((channel) => !this.#handlers.has(channel) && this.#followed.delete(channel));
    if (leave.length > 0) this.#send({ type: "unsubscribe", channels: leave });
    this.#sendSubscribe(wished.filter((channel) => this.#handlers.has(channel) && !this.#followed.has(channel)));
  }

  /** Resolves when the line is committed; rejects with an ApiError whose `code` the room chose. */
  sendChat(room: string, clientId: string, text: string): Promise<ChatAck> {
    const frame = write({ type: "chat_send", room, client_id: clientId, text });
    return new Promise((resolve, reject) => {
      if (this.#pending.size >= PENDING_MAX) {
        return reject(new ApiError("busy", 0, "Too many lines are still on their way."));
      }
      const timer = setTimeout(() => {
        this.#pending.delete(clientId);
        reject(new ApiError("timeout", 0, "Not confirmed yet."));
      }, LINE_TIMEOUT_MS);
      this.#pending.set(clientId, { frame, resolve, reject, timer });
      if (this.state.get() === "open") this.#socket?.send(frame);
    });
  }

  /** A sign of life in a room; nothing answers it, and without a connection it is lost. */
  sendReaction(room: string, reaction: string): void {
    if (this.state.get() === "open") this.#send({ type: "react", room, reaction });
  }

  /** How watching goes; nothing answers it, and without a connection it is lost. */
  sendWatchReport(report: Extract<Words, { type: "watch_report" }>): void {
    if (this.state.get() === "open") this.#send(report);
  }

  /** Says that somebody is at the page, or that it was left; a fresh connection is told again. */
  noteAttention(isAttended: boolean): void {
    this.#isAttended = isAttended;
    if (this.state.get() === "open") this.#send({ type: isAttended ? "active" : "away" });
  }

  /** A fresh connection now: after a login, a logout, or when the network is back. */
  restart(): void {
    this.#close();
    this.#attempt = 0;
    if (this.#handlers.size > 0) void this.#connect();
  }

  #wake(): void {
    const state = this.state.get();
    if (state === "idle" || state === "refused") void this.#connect();
    else if (state === "open") clearTimeout(this.#timer);
  }

  #rest(): void {
    if (this.#handlers.size > 0) return;
    this.#close();
    this.state.set("idle");
  }

  #close(): void {
    this.#run += 1;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
    this.#socket = null;
    this.state.set("idle");
  }

  #later(ms: number, work: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(work, ms);
  }

  async #connect(): Promise<void> {
    const run = ++this.#run;
    clearTimeout(this.#timer);
    this.state.set("connecting");
    try {
      const [url, token] = await Promise.all([
        this.#urlHint ?? this.#ports.locate(this.#avoid),
        this.#ports.token(this.#tokenRefused),
      ]);
      if (run !== this.#run) return;
      this.#urlHint = null;
      this.#tokenRefused = false;
      this.way.set(this.#decideWay());
      const open = this.way.get() === "stream" ? this.#ports.openStream : this.#ports.open;
      this.#listen(open(url), run, token, findEdge(url));
    } catch {
      if (run === this.#run) this.#retry();
    }
  }

  #decideWay(): Way {
    if (this.#unopened >= UNOPENED_MAX) {
      this.#unopened = UNOPENED_MAX - 1; // after the stream one more failure is enough
      this.#streamUntilMs = Date.now() + this.#streamMs;
      clearTimeout(this.#probe);
      this.#probe = setTimeout(() => this.way.get() === "stream" && this.restart(), this.#streamMs);
      this.#streamMs = Math.min(this.#streamMs * 2, STREAM.maxMs);
    }
    return Date.now() < this.#streamUntilMs ? "stream" : "socket";
  }

  #listen(socket: Wire, run: number, token: string | null, edge: string): void {
    this.#socket = socket;
    let hasOpened = false;
    this.#later(HANDSHAKE_TIMEOUT_MS, () => socket.close());
    socket.onopen = () => {
      hasOpened = true;
      if (run !== this.#run) return;
      if (this.way.get() === "socket") {
        this.#unopened = 0;
        this.#streamMs = STREAM.firstMs;
      }
      if (token) socket.send(write({ type: "authenticate", token }));
      else this.#opened();
    };
    socket.onmessage = (message: MessageEvent<string>) => {
      if (run === this.#run) this.#apply(readFrame(message.data));
    };
    socket.onclose = (event) => {
      if (run !== this.#run) return;
      this.#socket = null;
      if (!hasOpened && this.way.get() === "socket") this.#unopened += 1;
      clearTimeout(this.#timer);
      if (event.code === BROKEN_OFF) this.#avoid = edge;
      if (decideReconnect(event.code)) return this.#retry();
      this.state.set("refused");
      if (event.code === SESSION_REVOKED) this.#ports.onRevoked();
    };
  }

  #retry(): void {
    this.state.set("waiting");
    this.#later(decideDelay(this.#attempt++, BACKOFF), () => {
      if (this.#handlers.size > 0) void this.#connect();
      else this.state.set("idle");
    });
  }

  #opened(): void {
    clearTimeout(this.#timer);
    this.#attempt = 0;
    this.#avoid = null;
    this.state.set("open");
    this.#followed.clear();
    this.#confirmed.clear();
    if (!this.#isAttended) this.#send({ type: "away" });
    this.#sendSubscribe([...this.#handlers.keys()]);
    for (const line of this.#pending.values()) this.#socket?.send(line.frame);
  }

  #sendSubscribe(all: string[]): void {
    for (let first = 0; first < all.length; first += CHANNELS_PER_FRAME) {
      const channels = all.slice(first, first + CHANNELS_PER_FRAME);
      channels.forEach((channel) => this.#followed.add(channel));
      this.#send({ type: "subscribe", channels, since: this.#book.since(channels) });
    }
  }

  #send(words: Words): void {
    if (this.#socket?.readyState === 1) this.#socket.send(write(words));
  }

  #apply(incoming: Incoming): void {
    switch (incoming.kind) {
      case "authenticated":
        return this.#opened();
      case "subscribed":
        for (const [channel, state] of Object.entries(incoming.channels)) {
          this.#confirm(channel, this.#book.applySubscribed(channel, state));
        }
        return;
      case "reload":
        this.#book.forget(incoming.channel);
        return this.#reload(incoming.channel);
      case "events":
        for (const event of incoming.events) this.#deliver(event);
        return;
      case "ack":
        return this.#settle(incoming.clientId, (line) => line.resolve(incoming.ack));
      case "refusal":
        return this.#refuse(incoming.refusal);
      case "unknown":
        return;
    }
  }

  #deliver(event: ChannelEvent): void {
    if (!this.#book.accept(event)) return;
    for (const handlers of this.#handlers.get(event.channel) ?? []) handlers.onEvent(event);
  }

  #confirm(channel: string, subscribed: Subscribed): void {
    this.#confirmed.add(channel);
    if (subscribed === "lost") return this.#reload(channel);
    if (subscribed === "resumed") return;
    for (const handlers of this.#handlers.get(channel) ?? []) handlers.onSubscribed?.();
  }

  #reload(channel: string): void {
    for (const handlers of this.#handlers.get(channel) ?? []) handlers.onReload?.();
  }

  #settle(clientId: string, finish: (line: PendingLine) => void): void {
    const line = this.#pending.get(clientId);
    if (!line) return;
    clearTimeout(line.timer);
    this.#pending.delete(clientId);
    finish(line);
  }

  #refuse(said: SocketRefusal): void {
    const { client_id: clientId, channel, error, message, retryable } = said;
    if (clientId !== null) {
      const refusal = new ApiError(error, retryable ? 503 : 403, message, null, null, said.retry_after_s);
      return this.#settle(clientId, (line) => line.reject(refusal));
    }
    if (channel !== null) {
      this.#followed.delete(channel);
      // A room that is moving to another host says so; the next moment it answers again.
      if (retryable) setTimeout(() => this.#handlers.has(channel) && this.#wish(channel), AGAIN_MS);
      else for (const handlers of this.#handlers.get(channel) ?? []) handlers.onRefused?.();
      return;
    }
    if (this.state.get() !== "connecting") return;
    // Refused before the handshake was over: the token went stale on the way. Come back with another.
    this.#tokenRefused = true;
    this.#socket?.close();
  }
}

/** The edge behind a socket's address, as the API names it. */
function findEdge(url: string): string {
  return new URL(url.replace(/^ws/, "http")).origin;
}

function write(words: Words): string {
  return JSON.stringify(words);
}
