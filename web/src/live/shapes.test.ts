/** How a chat is kept: order, our own lines, repeats. */
import { expect, test } from "vitest";
import {
  applyDeleted,
  applyHeldRefused,
  applyHistory,
  applyMessage,
  applyOwn,
  CHAT_LINES_MAX,
  readMessage,
  readOwnHeld,
  type ChatLine,
  type ChatMessage,
} from "./shapes";

const ada = { id: "u1", username: "ada", display_name: "Ada" };
const message = (id: string, second = 0, clientId: string | null = null): ChatMessage => ({
  id,
  user: ada,
  text: id,
  client_id: clientId,
  created_at: `2026-05-01T12:00:${String(second).padStart(2, "0")}Z`,
});
const own = (clientId: string, state: ChatLine["state"] = "sending"): ChatLine => ({
  ...message(clientId, 59, clientId),
  state,
});
const ids = (lines: readonly ChatLine[]) => lines.map((line) => line.id);

test("a line of our own becomes the one from the room, not a second one", () => {
  const lines = applyMessage([own("c1")], message("m1", 1, "c1"));
  expect(lines).toEqual([{ ...message("m1", 1, "c1"), state: "sent" }]);
});

test("an acknowledgement before the line leaves one line", () => {
  const acknowledged = applyOwn([own("c1")], "c1", { id: "m1" });
  expect(ids(applyMessage(acknowledged, message("m1", 1, "c1")))).toEqual(["m1"]);
});

test("a repeated line is ignored", () => {
  const lines = applyMessage([], message("m1"));
  expect(applyMessage(lines, message("m1"))).toEqual(lines);
});

test("lines of others stand before our own that is still on its way", () => {
  expect(ids(applyMessage([own("c1")], message("m1")))).toEqual(["m1", "c1"]);
});

test("history goes below what is there, oldest first, each line once", () => {
  const lines = applyMessage([], message("m3", 3));
  expect(ids(applyHistory(lines, [message("m3", 3), message("m2", 2), message("m1", 1)]))).toEqual(["m1", "m2", "m3"]);
});

test("a line of ours that history has is sent and in its place, though no event told of it", () => {
  const acknowledged = applyOwn([own("c1")], "c1", { id: "m1" });
  const lines = applyMessage(acknowledged, message("m2", 2));
  expect(ids(lines)).toEqual(["m2", "m1"]);
  const settled = applyHistory(lines, [message("m2", 2), message("m1", 1)]);
  expect(settled.map(({ id, state }) => [id, state])).toEqual([["m1", "sent"], ["m2", "sent"]]);
});

test("history may have a line of ours before its acknowledgement", () => {
  const byName = applyHistory([own("c1")], [message("m1", 1, "c1")]);
  expect(ids(byName)).toEqual(["m1"]);
  const unnamed = applyHistory([own("c1")], [message("m1", 1)]);
  expect(ids(unnamed)).toEqual(["m1", "c1"]);
  expect(ids(applyOwn(unnamed, "c1", { id: "m1" }))).toEqual(["m1"]);
});

test("what was refused or deleted before the channel was ours is known from history", () => {
  const waiting: ChatLine = { ...own("c1", "held"), id: "h1" };
  const shown = [...applyMessage(applyMessage([], message("m1", 1)), message("m2", 2)), waiting];
  const asked = { shown: new Set(["m1", "m2", "h1"]), since: "2026-05-01T12:00:02Z" };
  const told = applyHistory(shown, [message("m3", 3)], [], asked);
  // m1 is older than what was asked for; m2 was deleted; the held line was refused.
  expect(told.map(({ id, state }) => [id, state])).toEqual([["m1", "sent"], ["m3", "sent"], ["h1", "failed"]]);
  expect(applyHistory(shown, [message("m2", 2)], [waiting], asked)).toEqual(shown);
  // What came while history was on its way is no part of its verdict.
  expect(applyHistory(shown, [], [], { shown: new Set<string>(), since: "" })).toEqual(shown);
});

test("a failed line stays and can be sent again", () => {
  const failed = applyOwn([own("c1")], "c1", { state: "failed", problem: "Away." });
  expect(failed[0]).toMatchObject({ state: "failed", problem: "Away." });
  expect(applyOwn(failed, "c1", { state: "sending" })[0]?.state).toBe("sending");
});

test("the log is bounded and our pending lines are never cut", () => {
  let lines: ChatLine[] = [own("c1")];
  for (let index = 0; index < CHAT_LINES_MAX + 20; index += 1) lines = applyMessage(lines, message(`m${index}`));
  expect(lines.length).toBe(CHAT_LINES_MAX + 1);
  expect(lines.at(-1)?.id).toBe("c1");
});

test("history items are read from the events that carried them, states are passed over", () => {
  const event = { type: "chat_message", channel: "room:1", epoch: "e", offset: 1, data: message("m1") };
  expect(readMessage(event)).toEqual(message("m1"));
  expect(readMessage({ ...event, type: "state", data: { status: "live" } })).toBeNull();
  expect(readMessage(null)).toBeNull();
});

test("a deleted line disappears, and comes back with no history", () => {
  const lines = applyMessage(applyMessage([], message("m1")), message("m2"));
  expect(ids(applyDeleted(lines, "m1"))).toEqual(["m2"]);
  expect(readMessage({ type: "chat_message", data: { ...message("m1"), text: "", deleted: true } })).toBeNull();
});

test("a held line of ours is there again after a reload, once, and only for us", () => {
  const item = { type: "message_held", data: { held_id: "h1", at: "t", user: ada, text: "hi", client_id: "c1" } };
  const line = readOwnHeld(item, "u1");
  expect(line).toMatchObject({ id: "h1", text: "hi", state: "held" });
  expect(readOwnHeld(item, "u2")).toBeNull();
  expect(readOwnHeld(item, null)).toBeNull();
  expect(readOwnHeld({ type: "message_held", data: { held_id: "h1", at: "t" } }, "u1")).toBeNull();
  if (line === null) throw new Error("read above");
  const shown = applyHistory([], [message("m1", 1)], [line]);
  expect(shown.map((known) => known.state)).toEqual(["sent", "held"]);
  expect(applyHistory(shown, [message("m1", 1)], [line])).toEqual(shown);
  expect(applyHistory([own("c1")], [], [line])).toEqual([own("c1")]);
});

test("a held line of ours that is refused says so, and one that is approved becomes the room's", () => {
  const held = applyOwn([own("c1")], "c1", { id: "h1", state: "held" });
  expect(applyHeldRefused(held, "h1")[0]).toMatchObject({ state: "failed", retryable: false });
  expect(applyMessage(held, message("m9", 1, "c1"))).toEqual([{ ...message("m9", 1, "c1"), state: "sent" }]);
});
