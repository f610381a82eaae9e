/** Times to come: words, countdown, and the browser's date field there and back. */
import { expect, test } from "vitest";
import { describeStart, proposeStart, readLocal, splitCountdown, writeLocal } from "./schedule";

const NOW_MS = Date.parse("2026-06-12T18:00:00Z");
const inSeconds = (seconds: number) => new Date(NOW_MS + seconds * 1_000).toISOString();

test("a start is told in the largest unit, never later than it is", () => {
  expect([30, 119, 7_199, 86_399, 2 * 86_400 + 5].map((s) => describeStart(inSeconds(s), NOW_MS))).toEqual([
    "now",
    "in 1 minute",
    "in 1 hour",
    "in 23 hours",
    "in 2 days",
  ]);
  expect(describeStart(inSeconds(-300), NOW_MS)).toBe("any moment now");
});

test("a countdown leaves out days it does not have and ends", () => {
  const write = (seconds: number) => splitCountdown(inSeconds(seconds), NOW_MS)?.map((p) => p.value + p.unit);
  expect(write(86_400 + 3_600 * 2 + 3)).toEqual(["1day", "02hours", "00min", "03s"]);
  expect(write(61)).toEqual(["00hours", "01min", "01s"]);
  expect(write(0)).toBeUndefined();
  expect(splitCountdown("never", NOW_MS)).toBeNull();
});

test("a typed time goes there and back to the minute, and refusals name the reason", () => {
  const text = writeLocal(NOW_MS + 3_600_000);
  expect(readLocal(text, NOW_MS)).toEqual({ iso: inSeconds(3_600) });
  expect(readLocal("", NOW_MS)).toHaveProperty("problem");
  expect(readLocal(writeLocal(NOW_MS - 60_000), NOW_MS)).toEqual({ problem: "This time has passed." });
  expect(readLocal(writeLocal(NOW_MS + 400 * 86_400_000), NOW_MS)).toEqual({ problem: "At most a year ahead." });
  const proposed = readLocal(proposeStart(NOW_MS + 123_000), NOW_MS);
  expect(proposed).toHaveProperty("iso");
  expect("iso" in proposed && Date.parse(proposed.iso) % 3_600_000).toBe(0);
});
