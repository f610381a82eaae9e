/** What a page knows of a chat: the snapshot it was shown, and the events since. */
import { expect, test } from "vitest";
import type { ChannelEvent } from "../kit/frames";
import {
  applyChatAnswer,
  applyNotices,
  applyRoomEvent,
  decideRank,
  isRaidFresh,
  NO_RULES,
  type ChatRules,
} from "./room_rules";

const ada = { id: "u1", username: "ada", display_name: "Ada" };
const bob = { id: "u2", username: "bob", display_name: "Bob" };
const rules = { slow_mode_s: 5, followers_only: true, follow_age_min_s: 0, subscribers_only: false, holds_links: false };
const pin = { id: "m1", user: ada, text: "read this", created_at: "2026-01-01T00:00:00Z" };
const hear = (state: ChatRules, type: string, data: unknown, myId: string | null = null) =>
  applyRoomEvent(state, { type, channel: "room:1", data } as ChannelEvent, myId);

test("the snapshot and later changes take the place of what was known", () => {
  const first = hear(NO_RULES, "room", { rules, pins: [pin], moderators: [bob], offset: 3 });
  expect(first).toMatchObject({ rules, pins: [pin], moderators: [bob] });
  expect(hear(first, "rules_changed", { rules: { ...rules, slow_mode_s: 0 } }).rules?.slow_mode_s).toBe(0);
  expect(hear(first, "pins_changed", { pins: [] }).pins).toEqual([]);
  expect(hear(first, "message_deleted", { message_id: "m1", pins: [] }).pins).toEqual([]);
  expect(hear(first, "message_deleted", { message_id: "m2" }).pins).toEqual([pin]);
});

test("moderators come and go, and a ban is ours only when it names us", () => {
  const change = { user: bob, role: "moderator", is_banned: false, timed_out_until: null };
  const appointed = hear(NO_RULES, "member_changed", change);
  expect(appointed.moderators).toEqual([bob]);
  const banned = { ...change, role: "guest", is_banned: true };
  expect(hear(appointed, "member_changed", banned, ada.id)).toMatchObject({ moderators: [], silence: null });
  expect(hear(appointed, "member_changed", banned, bob.id).silence).toEqual({ isBanned: true, until: null });
  const timedOut = { ...banned, is_banned: false, timed_out_until: "2026-01-01T00:00:00Z" };
  expect(hear(appointed, "member_changed", timedOut, bob.id).silence).toEqual({
    isBanned: false,
    until: "2026-01-01T00:00:00Z",
  });
  const pardoned = { ...timedOut, timed_out_until: null };
  expect(hear(appointed, "member_changed", pardoned, bob.id).silence).toBeNull();
});

test("announcements are noticed, and a raid takes along who is there when it starts", () => {
  expect(hear(NO_RULES, "announcement", { text: "soon", user: ada }).notice).toEqual({
    kind: "announcement",
    text: "soon",
    by: "Ada",
  });
  const target = { id: "r2", title: "Next door", owner: "bob", owner_name: "Bob" };
  const at = "2026-01-01T00:00:00Z";
  const raided = hear(NO_RULES, "raid", { target, viewers: 3, at });
  expect(raided.notice?.href).toBe("/live/r2");
  expect(raided.raid).toMatchObject({ target, at });
  expect(isRaidFresh({ target, at }, Date.parse(at) + 5_000)).toBe(true);
  expect(isRaidFresh({ target, at }, Date.parse(at) + 600_000)).toBe(false);
  expect(hear(NO_RULES, "raided", { source: target, viewers: 3 }).notice?.text).toBe("Bob sends their 3 viewers here.");
});

test("whoever comes later reads the newest announcement of the history; a raid takes along who just came", () => {
  const at = "2026-01-01T00:00:00Z";
  const target = { id: "r2", title: "Next door", owner: "bob", owner_name: "Bob" };
  const entry = (type: string, data: unknown) => ({ type, channel: "room:1", data }) as ChannelEvent;
  const history = [
    entry("chat_message", { text: "hi" }),
    entry("raid", { target, viewers: 3, at }),
    entry("announcement", { text: "old" }),
  ];
  const state = applyNotices(NO_RULES, history, Date.parse(at) + 60_000);
  expect(state.notice).toMatchObject({ kind: "raid", href: "/live/r2" });
  expect(state.raid).toBeNull();
  expect(applyNotices(NO_RULES, history, Date.parse(at) + 5_000).raid).toMatchObject({ target });
  const heard = hear(NO_RULES, "announcement", { text: "new", user: bob });
  expect(applyNotices(heard, history, Date.parse(at))).toBe(heard);
});

test("the API says what we are; its rules count only while the channel has said none", () => {
  const me = { rank: "guest" as const, is_banned: false, timed_out_until: "2026-01-01T00:10:00Z" };
  const answer = { rules, pins: [pin], moderators: [bob], me };
  expect(applyChatAnswer(NO_RULES, answer)).toMatchObject({ rules, silence: { until: "2026-01-01T00:10:00Z" } });
  const told = hear(NO_RULES, "room", { rules: { ...rules, slow_mode_s: 0 }, pins: [], moderators: [] });
  expect(applyChatAnswer(told, { ...answer, me: null })).toMatchObject({ pins: [], silence: null });
});

test("ranks follow the room and the site", () => {
  expect(decideRank(null, ada.id, [bob])).toBe("guest");
  expect(decideRank(ada, ada.id, [])).toBe("owner");
  expect(decideRank(bob, ada.id, [bob])).toBe("moderator");
  expect(decideRank({ ...bob, role: "admin" }, ada.id, [])).toBe("owner");
});
