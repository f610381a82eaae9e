/** Numbers as points of charts. */
import { expect, test } from "vitest";
import { listMinutes, type Analytics } from "./analytics";

test("time watched is shown in minutes", () => {
  const found = { days: [{ day: "2026-01-01", views: 2, watched_ms: 90_000 }] } as unknown as Analytics;
  expect(listMinutes(found)).toEqual([{ label: "2026-01-01", value: 1.5 }]);
});
