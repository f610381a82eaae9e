/** Where viewers come from. */
import { expect, test } from "vitest";
import { nameSource } from "./watching";

test.each([
  ["/", "", null, "home"],
  ["/u/ada", "https://example.org/", null, "profile"],
  ["/watch/1", "", null, "related"],
  ["/watch/1", "", "list", "playlist"],
  [null, "https://example.org/", null, "external"],
  [null, "", null, "direct"],
] as const)("from %j", (previous, referrer, list, source) =>
  expect(nameSource(previous, referrer, list)).toBe(source),
);
