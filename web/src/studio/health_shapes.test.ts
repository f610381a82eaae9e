/** How a live goes, in words. */
import { expect, test } from "vitest";
import { formatFreezes, formatRungs, perMinute, type LiveHealth, type LivePoint } from "./health_shapes";

test("the qualities watched are told best first, what names no size last", () => {
  expect(formatRungs({ "360p": 1, other: 2, "1080p": 4 })).toBe("1080p: 4, 360p: 1, other: 2");
  expect(formatRungs({})).toBe("unknown");
});

test("freezes are told with the share of the time they took, where anybody told", () => {
  const quality = (players: Record<string, number>, freezes: number) =>
    formatFreezes({ players, freezes, stalled: 0.012 } as LiveHealth["quality"]);
  expect(quality({ webrtc: 0 }, 0)).toBe("unknown");
  expect(quality({ webrtc: 2 }, 0)).toBe("never");
  expect(quality({ webrtc: 2, hls: 1 }, 1)).toBe("1 time, 1.2 % of the time");
});

test("lines are counted by the minute, whatever span a point has", () => {
  expect(perMinute({ lines: 4, span_s: 10 } as LivePoint)).toBe(24);
  expect(perMinute({ lines: 4, span_s: 0 } as LivePoint)).toBe(0);
});
