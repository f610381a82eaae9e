/** Numbers as CSV. */
import { expect, test } from "vitest";
import { listMinutes, writeCsv, type Analytics } from "./analytics";

const FOUND = {
  days: [{ day: "2026-01-01", views: 2, watched_ms: 90_000 }],
  retention: [1, 0.5],
  sources: { home: 2 },
  devices: { phone: 1 },
} as unknown as Analytics;

test("every number is a row of the table", () => {
  expect(writeCsv(FOUND).split("\r\n")).toEqual([
    "kind,name,value,watched_s",
    "day,2026-01-01,2,90",
    "retention,0 %,1,",
    "retention,1 %,0.5,",
    "source,home,2,",
    "device,phone,1,",
    "",
  ]);
  expect(listMinutes(FOUND)).toEqual([{ label: "2026-01-01", value: 1.5 }]);
});
