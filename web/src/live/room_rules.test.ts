/** What a page knows of a chat: the snapshot it was shown, and the events since. */
import { expect, test } from "vitest";
import { applyRoomEvent, decideRank, describeRules, NO_RULES, type ChatRules } from "./room_rules";

const ada = { id: "u1", username: "ada", display_name: "Ada" };
const bob = { id: "u2", username: "bob", display_name: "Bob" };
const rules = { slow_mode_s: 5, followers_only: true, follow_age_min_s: 0, subscribers_only: false, holds_links: false };
const pin = { id: "m1", user: ada, text: "read this" };
const hear = (state: ChatRules, type: string, data: unknown, myId: string | null = null) =>
  applyRoomEvent(state, { type, channel: "room:1", data }, myId);

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
  expect(hear(appointed, "member_changed", banned, bob.id).silence).toContain("banned");
  const timedOut = { ...banned, is_banned: false, timed_out_until: "2026-01-01T00:00:00Z" };
  expect(hear(appointed, "member_changed", timedOut, bob.id).silence).toContain("while");
});

test("announcements and raids are noticed", () => {
  expect(hear(NO_RULES, "announcement", { text: "soon" }).notice).toEqual({ text: "soon" });
  const target = { id: "r2", title: "Next door", owner_name: "Bob" };
  expect(hear(NO_RULES, "raid", { target, viewers: 3 }).notice?.href).toBe("/live/r2");
});

test("ranks follow the room and the site", () => {
  expect(decideRank(null, ada.id, [bob])).toBe("guest");
  expect(decideRank(ada, ada.id, [])).toBe("owner");
  expect(decideRank(bob, ada.id, [bob])).toBe("moderator");
  expect(decideRank({ ...bob, role: "admin" }, ada.id, [])).toBe("owner");
});

test("a writer is told the rules that concern them", () => {
  expect(describeRules(rules)).toBe("This chat: slow mode, one line in 5 s; followers only.");
  expect(describeRules(null)).toBe("");
});
