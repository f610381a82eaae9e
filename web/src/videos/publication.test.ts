/** Times of publication as forms and pages take them. */
import { expect, test } from "vitest";
import { listedAt, proposeWithdrawal, readPublishAt, waitMs } from "./publication";

const NOW_MS = Date.parse("2026-01-01T12:00:00Z");

test("a video is said to be as old as its publication", () => {
  const created_at = "2026-01-01T10:00:00Z";
  expect(listedAt({ created_at, published_at: null })).toBe(created_at);
  expect(listedAt({ created_at, published_at: "2026-01-02T10:00:00Z" })).toBe("2026-01-02T10:00:00Z");
});

test("a form asks for now, for a time to come, or is told what is wrong", () => {
  expect(readPublishAt(null, NOW_MS)).toEqual({ at: null });
  expect(readPublishAt("2026-01-05T10:00", NOW_MS)).toEqual({ at: new Date("2026-01-05T10:00").toISOString() });
  expect(readPublishAt("2025-12-05T10:00", NOW_MS)).toEqual({ problem: "This time has passed." });
});

test("a page asks again a little after the time, and not at once for one that is long past", () => {
  expect(waitMs("2026-01-01T12:00:10Z", NOW_MS)).toBe(14_000);
  expect(waitMs("2026-01-01T11:00:00Z", NOW_MS)).toBe(4_000);
  expect(waitMs("2026-12-01T11:00:00Z", NOW_MS)).toBe(2 ** 31 - 1);
});

test("a video is proposed to stay for a week from when it can be watched", () => {
  const at = "2026-01-03T12:00:00Z";
  expect(proposeWithdrawal({ publication: null }, NOW_MS)).toBe(Date.parse("2026-01-08T12:00:00Z"));
  expect(proposeWithdrawal({ publication: { at, visibility: "public" } }, NOW_MS)).toBe(Date.parse("2026-01-10T12:00:00Z"));
});
