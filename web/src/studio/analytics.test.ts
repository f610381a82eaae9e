/** Numbers as points of charts. */
import { expect, test } from "vitest";
import { describeWatched, listEngagement, listMinutes, nameCountries, type Analytics } from "./analytics";

test("time watched is shown in minutes", () => {
  const found = { days: [{ day: "2026-01-01", views: 2, watched_ms: 90_000 }] } as unknown as Analytics;
  expect(listMinutes(found)).toEqual([{ label: "2026-01-01", value: 1.5 }]);
});

test("what was watched for less than an hour is not said to be none", () => {
  expect(describeWatched(4_000)).toBe("0.1 min");
  expect(describeWatched(3_600_000)).toBe("1.0 h");
});

test("likes, comments and shares are added up by day", () => {
  const day = { day: "2026-01-01", likes: 3, comments: 1, shares: 2 };
  expect(listEngagement({ days: [day] } as unknown as Analytics)).toEqual([{ label: "2026-01-01", value: 6 }]);
});

test("countries have names, and the rest is said", () => {
  const found = { sessions: 6, countries: { DE: 3, FR: 2 } } as unknown as Analytics;
  expect(nameCountries(found, "en")).toEqual({ Germany: 3, France: 2, "Not known": 1 });
  expect(nameCountries({ ...found, sessions: 5 }, "en")).toEqual({ Germany: 3, France: 2 });
});
