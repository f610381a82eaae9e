/** Words for numbers and times. */
import { describe, expect, test } from "vitest";
import {
  formatAgo,
  formatBitrate,
  formatBytes,
  formatCount,
  formatDuration,
  formatLength,
  formatPosition,
  formatLeft,
  formatNoun,
  splitText,
} from "./words";

const NOW = Date.parse("2026-05-01T12:00:00Z");

test.each([
  ["2026-05-01T11:59:50Z", "just now"],
  ["2026-05-01T11:58:50Z", "1 minute ago"],
  ["2026-05-01T09:00:00Z", "3 hours ago"],
  ["2026-04-30T12:00:00Z", "yesterday"],
  ["2026-04-28T12:00:00Z", "3 days ago"],
  ["2026-01-02T12:00:00Z", "Jan 2, 2026"],
  ["not a time", ""],
])("%s is %s", (iso, words) => expect(formatAgo(iso, NOW)).toBe(words));

test.each([
  [0, "0:00"],
  [65.9, "1:05"],
  [3723, "1:02:03"],
  [Number.NaN, "0:00"],
  [-4, "0:00"],
])("%s seconds are %s", (seconds, words) => expect(formatDuration(seconds)).toBe(words));

test("small counts stay exact, large ones are rounded", () => {
  expect([formatCount(0), formatCount(999), formatCount(1234), formatCount(2_500_000)]).toEqual([
    "0",
    "999",
    "1.2K",
    "2.5M",
  ]);
  expect([formatNoun(1, "viewer"), formatNoun(2, "viewer")]).toEqual(["1 viewer", "2 viewers"]);
});

test.each([
  [0.2, "1 s"],
  [44.6, "45 s"],
  [150, "3 min"],
  [4000, "1 h 7 min"],
])("%s seconds left are %s", (seconds, words) => expect(formatLeft(seconds)).toBe(words));

test("sizes and rates carry their unit", () => {
  expect([formatBytes(10), formatBytes(2_811_553), formatBytes(3_000_000_000)]).toEqual(["1 kB", "2.8 MB", "3.00 GB"]);
  expect([formatBitrate(640_000), formatBitrate(2_500_000)]).toEqual(["640 kbit/s", "2.5 Mbit/s"]);
});

test("mentions and addresses are found, e-mail addresses and closing dots are not part of them", () => {
  expect(splitText("Ask @ada, see https://a.example/x?y=1. Not me@ada.example")).toEqual([
    { kind: "text", text: "Ask " },
    { kind: "mention", text: "@ada" },
    { kind: "text", text: ", see " },
    { kind: "link", text: "https://a.example/x?y=1" },
    { kind: "text", text: ". Not me@ada.example" },
  ]);
});

test("a text without marks is one piece, and an empty one none", () => {
  expect(splitText("plain <b>")).toEqual([{ kind: "text", text: "plain <b>" }]);
  expect(splitText("")).toEqual([]);
});

describe("a player's position and length", () => {
  test("agree at the end, and with what is said elsewhere of the same video", () => {
    expect([formatLength(3.97), formatLength(4.0), formatLength(65.4)]).toEqual(["0:04", "0:04", "1:05"]);
    expect(formatPosition(3.93, 3.97)).toBe("0:04");
    expect([formatPosition(3.5, 3.97), formatPosition(0, 0)]).toEqual(["0:03", "0:00"]);
  });
});
