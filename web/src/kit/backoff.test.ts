/** Waiting longer each time, never all at once. */
import { expect, test } from "vitest";
import { decideDelay } from "./backoff";

const BACKOFF = { firstMs: 400, maxMs: 6_000 };

test("grows with every attempt up to its limit", () => {
  expect([0, 1, 2, 3, 4, 40].map((attempt) => decideDelay(attempt, BACKOFF, () => 1))).toEqual([
    400, 800, 1600, 3200, 6000, 6000,
  ]);
});

test("spreads clients over three quarters of the time", () => {
  expect(decideDelay(2, BACKOFF, () => 0)).toBe(400);
});
