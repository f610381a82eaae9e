/** How long a live has been on air. */
import { expect, test } from "vitest";
import { AirClock } from "./air_clock";

test("a page that waited for a live counts from its beginning, not from its own", () => {
  const clock = new AirClock();
  clock.note("scheduled", null, 1_000);
  expect(clock.elapsedS(600_000)).toBe(0);
  clock.note("live", null, 600_000);
  clock.note("interrupted", null, 605_000);
  clock.note("live", null, 610_000);
  expect(clock.elapsedS(630_000)).toBe(30);
});

test("the server's word on the beginning counts", () => {
  const clock = new AirClock();
  clock.note("live", "1970-01-01T00:00:10Z", 60_000);
  expect(clock.elapsedS(70_000)).toBe(60);
  expect(clock.elapsedS(5_000)).toBe(0);
});
