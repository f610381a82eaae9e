/** The stream that stands in for a socket, against an edge played by the test. */
import { describe, expect, test } from "vitest";
import { EventStreamWire, findEventsUrl, takeMessages, writePositions } from "./event_stream";

interface Asked {
  url: string;
  headers: Record<string, string>;
  say: (text: string) => void;
  end: () => void;
}

/** `post` answers what is said; lines are the bodies that came. */
function makeEdge(post: () => Response | Promise<Response> = () => new Response(null, { status: 204 })) {
  const asked: Asked[] = [];
  const lines: string[] = [];
  const open = (url: string, request: { headers: Record<string, string> }) => {
    let controller: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({ start: (lent) => void (controller = lent) });
    asked.push({
      url,
      headers: request.headers,
      say: (text) => controller.enqueue(new TextEncoder().encode(text)),
      end: () => controller.close(),
    });
    return Promise.resolve(new Response(body));
  };
  const played = ((url: string, request: { method?: string; body?: string; headers: Record<string, string> }) => {
    if (request.method !== "POST") return open(url, request);
    lines.push(`${url} ${request.headers["Stream-Key"]} ${request.body}`);
    return Promise.resolve(post());
  }) as unknown as typeof fetch;
  return { asked, lines, played };
}

function connect(post?: () => Response | Promise<Response>) {
  const edge = makeEdge(post);
  const wire = new EventStreamWire("ws://edge:1/ws", edge.played);
  const heard: unknown[] = [];
  const codes: number[] = [];
  wire.onmessage = (message) => heard.push(JSON.parse(message.data));
  wire.onclose = (event) => codes.push(event.code);
  return { ...edge, wire, heard, codes };
}

const refusal = (status: number, error: string) =>
  new Response(JSON.stringify({ error, message: "No." }), { status });

/** A wire whose stream is open and said where it hears. */
async function speak(post: () => Response | Promise<Response>) {
  const edge = connect(post);
  await settle();
  edge.wire.send(JSON.stringify({ type: "subscribe", channels: ["room:1"] }));
  await settle();
  edge.asked[0]?.say('data: {"type":"stream","key":"K"}\n\n');
  await settle();
  return edge;
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

describe("a stream", () => {
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
    expect(asked.length).toBe(1);
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
      const wire = new EventStreamWire("ws://edge:1/ws", refusing(status, error));
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

  test("posts what is said in its order, once it knows where to", async () => {
    const { wire, asked, lines, codes } = connect();
    await settle();
    const words = [{ type: "away" }, { type: "subscribe", channels: ["post:2"] }, { type: "typing", room: "1" }];
    wire.send(JSON.stringify({ type: "subscribe", channels: ["room:1"] }));
    for (const each of words) wire.send(JSON.stringify(each));
    await settle();
    expect(lines).toEqual([]);
    asked[0]?.say('data: {"type":"stream","key":"K"}\n\n');
    await settle();
    wire.send(JSON.stringify({ type: "active" }));
    await settle();
    expect(lines).toEqual([...words, { type: "active" }].map((it) => `http://edge:1/events K ${JSON.stringify(it)}`));
    expect([asked.length, codes]).toEqual([1, []]);
  });

  test("tells of a line that is refused, and whether another try may help", async () => {
    const answers = [
      () => refusal(413, "word_too_large"),
      () => refusal(503, "edge_full"),
    ];
    const { wire, heard, codes } = await speak(() => answers.shift()?.() ?? refusal(500, "internal"));
    for (const id of ["a", "b"]) {
      wire.send(JSON.stringify({ type: "chat_send", room: "1", client_id: id, text: "hi" }));
    }
    await settle();
    expect(heard).toEqual([
      { type: "error", client_id: "a", error: "word_too_large", message: "No.", retryable: false },
      { type: "error", client_id: "b", error: "edge_full", message: "No.", retryable: true },
    ]);
    expect(codes).toEqual([]);
  });

  test.each([
    ["no network", () => Promise.reject(new TypeError("no network"))],
    ["a stream that is gone", () => refusal(404, "stream_unknown")],
  ])("ends with %s, says nothing more, and refuses no line: it is said again on the next one", async (_name, post) => {
    const { wire, lines, heard, codes } = await speak(post);
    for (const id of ["a", "b"]) {
      wire.send(JSON.stringify({ type: "chat_send", room: "1", client_id: id, text: "hi" }));
    }
    await settle();
    expect([lines.length, heard, codes]).toEqual([1, [], [1006]]);
  });

  test("ends where more waits than it may hold, rather than to leave a channel out", async () => {
    const { wire, codes } = await speak(() => new Promise<Response>(() => undefined));
    for (let n = 0; n < 110; n += 1) wire.send(JSON.stringify({ type: "subscribe", channels: [`post:${n}`] }));
    expect(codes).toEqual([1006]);
  });

  test("opens nothing once it is closed, whatever is refused meanwhile", async () => {
    const asked: string[] = [];
    let refuse: () => void = () => undefined;
    const ask = ((url: string) => {
      asked.push(url);
      return new Promise((resolve) => (refuse = () => resolve(refusal(404, "not_found"))));
    }) as unknown as typeof fetch;
    const wire = new EventStreamWire("ws://edge:1/ws", ask);
    await settle();
    for (const channel of ["room:1", "room:2"]) wire.send(JSON.stringify({ type: "subscribe", channels: [channel] }));
    wire.close();
    refuse();
    await settle();
    expect(asked.length).toBe(1);
  });

  test("follows the next channels where none of the first may be followed", async () => {
    const asked: string[] = [];
    const refuse = ((url: string) => {
      asked.push(url);
      return Promise.resolve(new Response("{}", { status: 404 }));
    }) as unknown as typeof fetch;
    const wire = new EventStreamWire("ws://edge:1/ws", refuse);
    for (const channel of ["room:1", "room:2"]) wire.send(JSON.stringify({ type: "subscribe", channels: [channel] }));
    await settle();
    expect(asked.map((url) => url.slice(-1))).toEqual(["1", "2"]);
  });
});

test("messages are taken whole, and comments are none", () => {
  const { messages, rest } = takeMessages("id: a\ndata: 1\n\n: beat\n\ndata: 2");
  expect(messages).toEqual(["1"]);
  expect(rest).toBe("data: 2");
});

test("addresses and positions are written as the edge reads them", () => {
  expect(findEventsUrl("wss://edge.example/ws")).toBe("https://edge.example/events");
  expect(writePositions({ "room:1": { epoch: "e", offset: 7 }, "room:2": { epoch: "f", offset: 0 } })).toBe(
    "room:1=e:7,room:2=f:0",
  );
});
