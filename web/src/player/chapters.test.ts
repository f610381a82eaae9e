/** Which chapter a moment is in. */
import { expect, test } from "vitest";
import { findChapter } from "./chapters";

const CHAPTERS = [
  { start_ms: 0, title: "One" },
  { start_ms: 10_000, title: "Two" },
];

test.each([
  [0, "One"],
  [9.99, "One"],
  [10, "Two"],
  [500, "Two"],
])("at %d s", (atS, title) => expect(findChapter(CHAPTERS, atS)?.title).toBe(title));

test("a video without chapters is in none", () => expect(findChapter([], 5)).toBeNull());
