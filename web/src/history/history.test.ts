/** How much of a video was watched. */
import { expect, test } from "vitest";
import type { Video } from "../videos/shapes";
import { measureWatched } from "./history";

test.each([
  [30_000, 60_000, false, 0.5],
  [90_000, 60_000, false, 1],
  [58_000, 60_000, true, 1],
  [5_000, null, false, 0],
])("%i ms of %j, finished: %j", (position_ms, duration_ms, finished, share) =>
  expect(measureWatched({ position_ms, finished, video: { duration_ms } as Video })).toBe(share),
);
