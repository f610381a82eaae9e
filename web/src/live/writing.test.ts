/** What a writer is told at the field: rules, waits, and why not. */
import { expect, test } from "vitest";
import { decideWriting, describeSpan, type WritingScene } from "./writing";

const NOW_MS = Date.parse("2026-01-01T00:00:00Z");
const rules = { slow_mode_s: 10, followers_only: false, follow_age_min_s: 0, subscribers_only: false, holds_links: false };
const scene = (change: Partial<WritingScene> = {}): WritingScene => ({
  rules,
  rank: "guest",
  silence: null,
  isFollowing: undefined,
  isSubscribed: undefined,
  ownerName: "Ada",
  waitUntilMs: 0,
  nowMs: NOW_MS,
  ...change,
});

test("slow mode is told, then counted down after a line, and binds no moderator", () => {
  expect(decideWriting(scene()).hint).toBe("Slow mode: one line every 10 seconds");
  const waiting = scene({ waitUntilMs: NOW_MS + 6_200 });
  expect(decideWriting(waiting)).toEqual({ state: "open", waitS: 7, hint: "Next line in 0:07" });
  expect(decideWriting({ ...waiting, nowMs: NOW_MS + 6_200 }).waitS).toBe(0);
  expect(decideWriting({ ...waiting, rank: "moderator" })).toEqual({ state: "open", waitS: 0, hint: "" });
});

test("whoever does not follow is asked to, and nobody before it is known", () => {
  const closed = { ...rules, slow_mode_s: 0, followers_only: true };
  expect(decideWriting(scene({ rules: closed, isFollowing: false }))).toMatchObject({
    state: "follow",
    hint: "Only followers of Ada write here.",
  });
  expect(decideWriting(scene({ rules: closed })).state).toBe("open");
  const aged = { ...closed, follow_age_min_s: 600 };
  expect(decideWriting(scene({ rules: aged, isFollowing: true })).hint).toBe("Followers for at least 10 minutes");
});

test("whoever does not subscribe cannot write, and nobody hears so before it is known", () => {
  const closed = { ...rules, slow_mode_s: 0, subscribers_only: true };
  expect(decideWriting(scene({ rules: closed, isSubscribed: false }))).toMatchObject({
    state: "closed",
    hint: "Only subscribers of Ada write here.",
  });
  for (const isSubscribed of [true, undefined]) {
    expect(decideWriting(scene({ rules: closed, isSubscribed }))).toMatchObject({ state: "open", hint: "Subscribers only" });
  }
  expect(decideWriting(scene({ rules: closed, isSubscribed: false, rank: "owner" })).state).toBe("open");
});

test("a ban is final, a time-out ends by itself", () => {
  expect(decideWriting(scene({ silence: { isBanned: true, until: null } })).state).toBe("closed");
  const timedOut = scene({ silence: { isBanned: false, until: "2026-01-01T00:01:05Z" } });
  expect(decideWriting(timedOut)).toMatchObject({ state: "closed", hint: "You may not write here for 1:05." });
  expect(decideWriting({ ...timedOut, nowMs: NOW_MS + 65_000 }).state).toBe("open");
});

test("spans are told in the largest unit that is exact", () => {
  expect([1, 90, 3_600, 172_800, 0].map(describeSpan)).toEqual([
    "1 second",
    "90 seconds",
    "1 hour",
    "2 days",
    "0 seconds",
  ]);
});
