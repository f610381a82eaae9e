/** The socket against a server played by the test: handshake, resume, repeats, refusals. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ApiError } from "./errors";
import { PageSocket } from "./socket";

class PlayedServer {
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  readonly heard: Record<string, unknown>[] = [];

  send(text: string): void {
    this.heard.push(JSON.parse(text) as Record<string, unknown>);
  }

  close(code = 1006): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code });
  }

  accept(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  say(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

let servers: PlayedServer[] = [];
let streams: PlayedServer[] = [];
let tokens: (string | null)[] = [];
let renewals: boolean[] = [];
let avoided: (string | null)[] = [];
let revoked = 0;

const settle = () => vi.advanceTimersByTimeAsync(0);
const last = () => servers.at(-1) as PlayedServer;

function makeSocket(): PageSocket {
  return new PageSocket({
    locate: (avoid) => {
      avoided.push(avoid);
      return Promise.resolve("ws://edge/ws");
    },
    token: (renew) => {
      renewals.push(renew);
      return Promise.resolve(tokens.length > 1 ? (tokens.shift() ?? null) : (tokens[0] ?? null));
    },
    onRevoked: () => (revoked += 1),
    open: () => {
      const server = new PlayedServer();
      servers.push(server);
      return server as unknown as WebSocket;
    },
    openStream: () => {
      const server = new PlayedServer();
      streams.push(server);
      return server as unknown as WebSocket;
    },
  });
}

async function connect(socket: PageSocket, channel = "room:1") {
  const events: unknown[] = [];
  const onSubscribed = vi.fn();
  const onReload = vi.fn();
  const leave = socket.subscribe(channel, {
    onEvent: (event) => events.push(event.data),
    onSubscribed,
    onReload,
  });
  await settle();
  last().accept();
  if (tokens[0]) last().say({ type: "authenticated", user: {} });
  return { events, onSubscribed, onReload, leave };
}

beforeEach(() => {
  vi.useFakeTimers();
  servers = [];
  streams = [];
  tokens = ["T1"];
  renewals = [];
  avoided = [];
  revoked = 0;
});
afterEach(() => vi.useRealTimers());

describe("the handshake", () => {
  test("authenticates before it subscribes", async () => {
    const socket = makeSocket();
    await connect(socket);
    expect(last().heard).toEqual([
      { type: "authenticate", token: "T1" },
      { type: "subscribe", channels: ["room:1"], since: {} },
    ]);
    expect(socket.state.get()).toBe("open");
  });

  test("a stranger subscribes at once", async () => {
    tokens = [null];
    await connect(makeSocket());
    expect(last().heard).toEqual([{ type: "subscribe", channels: ["room:1"], since: {} }]);
  });

  test("a refused token is exchanged for another", async () => {
    tokens = ["stale", "fresh"];
    const socket = makeSocket();
    socket.subscribe("room:1", { onEvent: () => undefined });
    await settle();
    last().accept();
    last().say({ type: "error", error: "token_expired", message: "", retryable: false });
    await vi.advanceTimersByTimeAsync(2_000);
    last().accept();
    expect(renewals).toEqual([false, true]);
    expect(last().heard[0]).toEqual({ type: "authenticate", token: "fresh" });
  });

  test("a server that says nothing is given up and tried again", async () => {
    const socket = makeSocket();
    socket.subscribe("room:1", { onEvent: () => undefined });
    await settle();
    last().accept();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(servers.length).toBeGreaterThan(1);
  });
});

describe("after a loss", () => {
  test("it resumes from the last event and hands each on once", async () => {
    const socket = makeSocket();
    const { events, onReload } = await connect(socket);
    last().say({ type: "subscribed", "room:1": { epoch: "e", offset: 0, recovered: true } });
    last().say({ type: "chat_message", channel: "room:1", epoch: "e", offset: 1, data: "one" });
    last().close(1012);
    expect(socket.state.get()).toBe("waiting");
    await vi.advanceTimersByTimeAsync(10_000);
    last().accept();
    last().say({ type: "authenticated", user: {} });
    expect(last().heard.at(-1)).toEqual({
      type: "subscribe",
      channels: ["room:1"],
      since: { "room:1": { epoch: "e", offset: 1 } },
    });
    last().say({ type: "subscribed", "room:1": { epoch: "e", offset: 1, recovered: true } });
    const replayed = [1, 2].map((offset) => ({
      type: "chat_message",
      channel: "room:1",
      epoch: "e",
      offset,
      data: offset,
    }));
    last().say({ type: "batch", events: replayed });
    expect(events).toEqual(["one", 2]);
    expect(onReload).not.toHaveBeenCalled();
  });

  test("what cannot be replayed is loaded again", async () => {
    const socket = makeSocket();
    const { onReload, onSubscribed } = await connect(socket);
    last().say({ type: "subscribed", "room:1": { epoch: "e", offset: 5, recovered: true } });
    expect(onSubscribed).toHaveBeenCalledOnce();
    last().say({ type: "reload", channel: "room:1" });
    expect(onReload).toHaveBeenCalledOnce();
  });

  test("a final close code is obeyed until somebody asks again", async () => {
    const socket = makeSocket();
    await connect(socket);
    last().close(4501);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(servers.length).toBe(1);
    expect(revoked).toBe(1);
    socket.subscribe("room:2", { onEvent: () => undefined });
    await settle();
    expect(servers.length).toBe(2);
  });
});

describe("where no socket can be opened", () => {
  test("the fifth attempt is a stream, and the socket is tried again later", async () => {
    const socket = makeSocket();
    socket.subscribe("room:1", { onEvent: () => undefined });
    for (let attempt = 0; attempt < 4; attempt += 1) {
      await vi.advanceTimersByTimeAsync(7_000);
      last().close();
    }
    await vi.advanceTimersByTimeAsync(7_000);
    expect([servers.length, streams.length, socket.way.get()]).toEqual([4, 1, "stream"]);
    streams[0]?.accept();
    streams[0]?.say({ type: "authenticated" });
    expect(socket.state.get()).toBe("open");
    await vi.advanceTimersByTimeAsync(60_000);
    expect([servers.length, socket.way.get()]).toEqual([5, "socket"]);
    last().close();
    await vi.advanceTimersByTimeAsync(7_000);
    expect([servers.length, streams.length, socket.way.get()]).toEqual([5, 2, "stream"]);
    streams[1]?.accept();
    streams[1]?.say({ type: "authenticated" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(servers.length).toBe(5);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(servers.length).toBe(6);
    last().accept();
    last().say({ type: "authenticated", user: {} });
    expect([socket.state.get(), socket.way.get()]).toEqual(["open", "socket"]);
  });

  test("an edge whose socket broke off is not asked for again, until another one took over", async () => {
    const socket = makeSocket();
    socket.subscribe("room:1", { onEvent: () => undefined });
    for (const code of [1006, 1012]) {
      await settle();
      last().accept();
      last().say({ type: "authenticated" });
      last().close(code);
      await vi.advanceTimersByTimeAsync(500);
    }
    expect(avoided).toEqual([null, "http://edge", null]);
  });

  test("a socket that was open before is tried again as a socket", async () => {
    const socket = makeSocket();
    await connect(socket);
    for (let loss = 0; loss < 4; loss += 1) {
      last().close();
      await vi.advanceTimersByTimeAsync(7_000);
      last().accept();
    }
    expect(streams.length).toBe(0);
  });
});

describe("channels", () => {
  test("come and go in one frame each way", async () => {
    const socket = makeSocket();
    const { leave } = await connect(socket);
    for (const id of [1, 2, 3]) socket.subscribe(`post:${id}`, { onEvent: () => undefined });
    leave();
    await vi.advanceTimersByTimeAsync(100);
    expect(last().heard.slice(2)).toEqual([
      { type: "unsubscribe", channels: ["room:1"] },
      { type: "subscribe", channels: ["post:1", "post:2", "post:3"], since: {} },
    ]);
  });

  test("a second listener of a channel hears at once that it is subscribed", async () => {
    const socket = makeSocket();
    await connect(socket);
    last().say({ type: "subscribed", "room:1": { epoch: "e", offset: 0, recovered: true } });
    const onSubscribed = vi.fn();
    socket.subscribe("room:1", { onEvent: () => undefined, onSubscribed });
    await settle();
    expect(onSubscribed).toHaveBeenCalledOnce();
    expect(last().heard.filter((frame) => frame["type"] === "subscribe").length).toBe(1);
  });

  test("a room on the move is asked for again", async () => {
    const socket = makeSocket();
    await connect(socket);
    last().say({ type: "error", channel: "room:1", error: "room_away", message: "", retryable: true });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(last().heard.filter((frame) => frame["type"] === "subscribe").length).toBe(2);
  });

  test("the connection rests when nobody listens", async () => {
    const socket = makeSocket();
    const { leave } = await connect(socket);
    leave();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(socket.state.get()).toBe("idle");
    expect(servers.length).toBe(1);
  });
});

describe("a chat line", () => {
  const ack = { type: "ack", client_id: "c1", message_id: "m1", epoch: "e", offset: 1 };

  test("is settled by its acknowledgement", async () => {
    const socket = makeSocket();
    await connect(socket);
    const sent = socket.sendChat("1", "c1", "hello");
    last().say(ack);
    await expect(sent).resolves.toEqual({ message_id: "m1", offset: 1, held: false });
  });

  test("is repeated with the same client id after a reconnect", async () => {
    const socket = makeSocket();
    await connect(socket);
    const sent = socket.sendChat("1", "c1", "hello");
    last().close();
    await vi.advanceTimersByTimeAsync(3_000);
    last().accept();
    last().say({ type: "authenticated", user: {} });
    expect(last().heard.at(-1)).toEqual({ type: "chat_send", room: "1", client_id: "c1", text: "hello" });
    last().say(ack);
    await expect(sent).resolves.toMatchObject({ message_id: "m1" });
  });

  test("is refused in the room's own words", async () => {
    const socket = makeSocket();
    await connect(socket);
    const sent = socket.sendChat("1", "c1", "hello").catch((error: ApiError) => error);
    last().say({
      type: "error",
      client_id: "c1",
      error: "slow_mode",
      message: "Wait 5 s.",
      retryable: true,
      retry_after_s: 5,
    });
    expect(await sent).toMatchObject({ code: "slow_mode", message: "Wait 5 s.", status: 503, retryAfterS: 5 });
  });

  test("a reaction is said while connected, and lost without", async () => {
    const socket = makeSocket();
    socket.sendReaction("1", "🔥");
    await connect(socket);
    socket.sendReaction("1", "🎉");
    expect(last().heard.filter((frame) => (frame as { type: string }).type === "react")).toEqual([
      { type: "react", room: "1", reaction: "🎉" },
    ]);
  });

  test("gives up waiting, so that it can be sent again", async () => {
    const socket = makeSocket();
    await connect(socket);
    const sent = socket.sendChat("1", "c1", "hello").catch((error: ApiError) => error);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await sent).toMatchObject({ code: "timeout", isOffline: true });
  });
});

describe("whether somebody is at the page", () => {
  test("is said while connected, and a page that was left says so again after a reconnect", async () => {
    const socket = makeSocket();
    await connect(socket);
    socket.noteAttention(false);
    socket.noteAttention(true);
    expect(last().heard.slice(2)).toEqual([{ type: "away" }, { type: "active" }]);
    socket.noteAttention(false);
    last().close();
    socket.noteAttention(false);
    await vi.advanceTimersByTimeAsync(10_000);
    last().accept();
    last().say({ type: "authenticated", user: {} });
    expect(last().heard.map((frame) => frame["type"])).toEqual(["authenticate", "away", "subscribe"]);
  });
});
