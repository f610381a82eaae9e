/** The stream that stands in for a socket, against an edge played by the test. */
import { describe, expect, test } from "vitest";
import { ApiError } from "./errors";
import { EventStreamWire, findEventsUrl, takeMessages, writePositions } from "./event_stream";

interface Asked {
  url: string;
  headers: Record<string, string>;
  say: (text: string) => void;
  end: () => void;
}

function makeEdge() {
  const asked: Asked[] = [];
  const played = ((url: string, request: { headers: Record<string, string> }) => {
    let controller: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({ start: (lent) => void (controller = lent) });
    asked.push({
      url,
      headers: request.headers,
      say: (text) => controller.enqueue(new TextEncoder().encode(text)),
      end: () => controller.close(),
    });
    return Promise.resolve(new Response(body));
  }) as unknown as typeof fetch;
  return { asked, played };
}

function connect(post = () => Promise.resolve({ message_id: "m", epoch: "e", offset: 3, held: false })) {
  const edge = makeEdge();
  const reactions: string[] = [];
  const react = (room: string, reaction: string) => Promise.resolve(reactions.push(`${room} ${reaction}`));
  const wire = new EventStreamWire("ws://edge:1/ws", { fetch: edge.played, post, react });
  const heard: unknown[] = [];
  const codes: number[] = [];
  wire.onmessage = (message) => heard.push(JSON.parse(message.data));
  wire.onclose = (event) => codes.push(event.code);
  return { ...edge, wire, heard, codes, reactions };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

describe("a stream", () => {
  test("passes reactions on, one in two seconds", async () => {
    const { wire, reactions } = connect();
    await settle();
    for (const reaction of ["🔥", "🎉"]) wire.send(JSON.stringify({ type: "react", room: "1", reaction }));
    expect(reactions).toEqual(["1 🔥"]);
  });

  test("asks with the token and from where each channel stands, and hands frames on", async () => {
    const { wire, asked, heard } = connect();
    await settle();
    wire.send(JSON.stringify({ type: "authenticate", token: "T" }));
    wire.send(
      JSON.stringify({ type: "subscribe", channels: ["room:1"], since: { "room:1": { epoch: "e", offset: 4 } } }),
    );
    await settle();
    expect(asked[0]?.url).toBe("http://edge:1/events?channels=room%3A1");
    expect(asked[0]?.headers).toMatchObject({ Authorization: "Bearer T", "Last-Event-ID": "room:1=e:4" });
    asked[0]?.say('retry: 2000\n\nid: room:1=e:5\ndata: {"type":"chat_message",');
    asked[0]?.say('"channel":"room:1"}\n\n: still here\n\n');
    await settle();
    expect(heard).toEqual([{ type: "authenticated", user: null }, { type: "chat_message", channel: "room:1" }]);
    wire.send(JSON.stringify({ type: "subscribe", channels: ["post:2"], since: {} }));
    await settle();
    expect(asked[1]?.url).toContain("room%3A1%2Cpost%3A2");
    expect(asked[1]?.headers["Last-Event-ID"]).toBe("room:1=e:5");
  });

  test("ends with the code that the edge says, and as lost when it just ends", async () => {
    const told = connect();
    told.wire.send(JSON.stringify({ type: "subscribe", channels: ["room:1"] }));
    await settle();
    told.asked[0]?.say('data: {"type":"closed","code":4501}\n\n');
    await settle();
    expect(told.codes).toEqual([4501]);
    const lost = connect();
    lost.wire.send(JSON.stringify({ type: "subscribe", channels: ["room:1"] }));
    await settle();
    lost.asked[0]?.end();
    await settle();
    expect(lost.codes).toEqual([1006]);
  });

  test("hears what may not be followed, and of a login that has ended", async () => {
    const refusing = (status: number, error: string) =>
      (() =>
        Promise.resolve(new Response(JSON.stringify({ error, message: "No." }), { status }))) as unknown as typeof fetch;
    const follow = async (status: number, error: string) => {
      const never = () => new Promise<never>(() => undefined);
      const wire = new EventStreamWire("ws://edge:1/ws", { fetch: refusing(status, error), post: never, react: never });
      const heard: unknown[] = [];
      const codes: number[] = [];
      wire.onmessage = (message) => heard.push(JSON.parse(message.data));
      wire.onclose = (event) => codes.push(event.code);
      await settle();
      wire.send(JSON.stringify({ type: "subscribe", channels: ["room:1"] }));
      await settle();
      return { heard, codes };
    };
    expect(await follow(404, "not_found")).toEqual({
      heard: [{ type: "error", channel: "room:1", error: "not_found", message: "No.", retryable: false }],
      codes: [],
    });
    expect(await follow(401, "session_revoked")).toEqual({ heard: [], codes: [4501] });
    expect(await follow(503, "edge_full")).toEqual({ heard: [], codes: [1006] });
  });

  test("sends lines over the API and answers as the socket would", async () => {
    const kept = connect();
    const line = JSON.stringify({ type: "chat_send", room: "1", client_id: "c", text: "hi" });
    await settle();
    kept.wire.send(line);
    await settle();
    expect(kept.heard).toEqual([{ type: "ack", client_id: "c", message_id: "m", epoch: "e", offset: 3, held: false }]);
    const refused = connect(() => Promise.reject(new ApiError("room_ended", 409, "It is over.")));
    await settle();
    refused.wire.send(line);
    await settle();
    expect(refused.heard).toEqual([
      { type: "error", client_id: "c", error: "room_ended", message: "It is over.", retryable: false },
    ]);
    const slow = connect(() => Promise.reject(new ApiError("slow_mode", 429, "Wait.", null, null, 7)));
    await settle();
    slow.wire.send(line);
    await settle();
    expect(slow.heard).toMatchObject([{ error: "slow_mode", retryable: true, retry_after_s: 7 }]);
  });
});

test("messages are taken whole, and comments are none", () => {
  const { messages, rest } = takeMessages("id: a\ndata: 1\n\n: beat\n\ndata: 2");
  expect(messages).toEqual([
    { id: "a", data: "1" },
    { id: null, data: null },
  ]);
  expect(rest).toBe("data: 2");
});

test("addresses and positions are written as the edge reads them", () => {
  expect(findEventsUrl("wss://edge.example/ws")).toBe("https://edge.example/events");
  expect(writePositions({ "room:1": { epoch: "e", offset: 7 }, "room:2": { epoch: "f", offset: 0 } })).toBe(
    "room:1=e:7,room:2=f:0",
  );
});
