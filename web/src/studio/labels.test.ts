/** Labels as text. */
import { expect, test } from "vitest";
import { readChapters, readTags, writeChapters } from "./labels";

test("chapters are written as they are read", () => {
  const text = "0:00 Start\n1:30 The harbour\n1:02:03 Home";
  const chapters = readChapters(`${text}\n\n`);
  expect(chapters?.map((chapter) => chapter.start_ms)).toEqual([0, 90_000, 3_723_000]);
  expect(writeChapters(chapters ?? [])).toBe(text);
  expect(readChapters("Start")).toBeNull();
});

test("tags stand between commas", () => expect(readTags(" a, b c ,,")).toEqual(["a", "b c"]));
