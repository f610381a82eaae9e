/** Frames and positions: what is handed on, what is replayed, what is lost. */
import { describe, expect, test } from "vitest";
import { ChannelBook, decideReconnect, readFrame, type ChannelEvent } from "./frames";

const line = (offset: number, epoch = "e1") =>
  ({ type: "chat_message", channel: "room:1", epoch, offset, data: {} }) as unknown as ChannelEvent;

describe("readFrame", () => {
  test("a batch is its events in order", () => {
    const frame = readFrame(JSON.stringify({ type: "batch", events: [line(1), line(2)] }));
    expect(frame).toEqual({ kind: "events", events: [line(1), line(2)] });
  });

  test("a single event is a batch of one", () => {
    const event = { type: "viewer_count", channel: "room:1", data: { viewers: 3 } };
    expect(readFrame(JSON.stringify(event))).toEqual({ kind: "events", events: [event] });
  });

  test("subscribed channels stand beside the type by their names", () => {
    const state = { epoch: "e1", offset: 4, recovered: true };
    const frame = readFrame(JSON.stringify({ type: "subscribed", "room:1": state }));
    expect(frame).toEqual({ kind: "subscribed", channels: { "room:1": state } });
  });

  test("an acknowledgement tells a held line from a sent one", () => {
    const frame = readFrame('{"type":"ack","client_id":"c","message_id":"m","epoch":"e","offset":7,"held":true}');
    expect(frame).toEqual({ kind: "ack", clientId: "c", ack: { message_id: "m", offset: 7, held: true } });
  });

  test("a refusal names its line or its channel", () => {
    const frame = readFrame('{"type":"error","channel":"room:1","error":"away","message":"Soon.","retryable":true}');
    expect(frame).toEqual({
      kind: "refusal",
      refusal: { client_id: null, channel: "room:1", error: "away", message: "Soon.", retryable: true, retry_after_s: null },
    });
  });

  test.each(["", "null", "[]x", '"text"'])("what is not understood (%s) is unknown, never an exception", (text) => {
    expect(readFrame(text).kind).toBe("unknown");
  });

  test("events without a channel are dropped", () => {
    expect(readFrame('{"type":"pong"}')).toEqual({ kind: "events", events: [] });
  });
});

describe("ChannelBook", () => {
  test("an event that was handed on is not handed on again", () => {
    const book = new ChannelBook();
    expect(book.accept(line(1))).toBe(true);
    expect(book.accept(line(1))).toBe(false);
    expect(book.accept(line(2))).toBe(true);
  });

  test("a new epoch begins its offsets anew", () => {
    const book = new ChannelBook();
    book.accept(line(9));
    expect(book.accept(line(1, "e2"))).toBe(true);
  });

  test("events without offsets always pass", () => {
    const book = new ChannelBook();
    const count = { type: "viewer_count", channel: "room:1", data: {} } as unknown as ChannelEvent;
    expect([book.accept(count), book.accept(count)]).toEqual([true, true]);
  });

  test("after a reconnect it asks from the last event that was handed on", () => {
    const book = new ChannelBook();
    book.applySubscribed("room:1", { epoch: "e1", offset: 3, recovered: true });
    book.accept(line(4));
    expect(book.since(["room:1", "post:2"])).toEqual({ "room:1": { epoch: "e1", offset: 4 } });
    expect(book.applySubscribed("room:1", { epoch: "e1", offset: 4, recovered: true })).toBe("resumed");
  });

  test("what cannot be replayed is lost", () => {
    const book = new ChannelBook();
    expect(book.applySubscribed("room:1", { epoch: "e1", offset: 3, recovered: true })).toBe("first");
    expect(book.applySubscribed("room:1", { epoch: "e2", offset: 0, recovered: true })).toBe("lost");
    expect(book.applySubscribed("room:1", { epoch: "e2", offset: 50, recovered: false })).toBe("lost");
  });

  test("a channel without offsets loses what happened while we were away", () => {
    const book = new ChannelBook();
    expect(book.applySubscribed("post:1", { recovered: true })).toBe("first");
    expect(book.applySubscribed("post:1", { recovered: true })).toBe("lost");
  });

  test("a channel that was left is new again", () => {
    const book = new ChannelBook();
    book.applySubscribed("room:1", { epoch: "e1", offset: 3, recovered: true });
    book.forget("room:1");
    expect(book.since(["room:1"])).toEqual({});
    expect(book.applySubscribed("room:1", { epoch: "e1", offset: 8, recovered: true })).toBe("first");
  });
});

test.each([
  [1006, true],
  [1012, true],
  [3000, true],
  [3500, false],
  [4008, true],
  [4501, false],
  [4999, false],
])("close code %i comes back: %s", (code, comesBack) => {
  expect(decideReconnect(code)).toBe(comesBack);
});
