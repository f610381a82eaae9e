/** How a live goes, in words. */
import { expect, test } from "vitest";
import { formatRungs } from "./health_shapes";

test("the qualities watched are told best first, what names no size last", () => {
  expect(formatRungs({ "360p": 1, other: 2, "1080p": 4 })).toBe("1080p: 4, 360p: 1, other: 2");
  expect(formatRungs({})).toBe("unknown");
});
