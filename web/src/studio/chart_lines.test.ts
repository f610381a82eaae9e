import { expect, test } from "vitest";
import { drawLine, findTop } from "./chart_lines";
import { formatDelay, formatShare } from "./health_shapes";

test("the top of a chart is round and never below a value", () => {
  expect(findTop([])).toBe(1);
  expect(findTop([0, null])).toBe(1);
  expect(findTop([3, 17])).toBe(20);
  expect(findTop([2_480_000])).toBe(5_000_000);
});

test("a line has a hole where nothing is known", () => {
  expect(drawLine([0, 10, null, 10], 10, 300, 104)).toBe("M0.0 102.0h0.1L100.0 2.0M300.0 2.0h0.1");
  expect(drawLine([], 1, 300, 100)).toBe("");
});

test("shares and delays say when nobody knows", () => {
  expect([formatShare(null), formatShare(0), formatShare(0.0004), formatShare(0.25)]).toEqual([
    "unknown",
    "0.0 %",
    "< 0.1 %",
    "25 %",
  ]);
  expect([formatDelay(null), formatDelay(300), formatDelay(1500)]).toEqual(["unknown", "≤ 300 ms", "≤ 1.5 s"]);
});
