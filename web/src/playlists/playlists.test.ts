/** Orders of playlists. */
import { expect, test } from "vitest";
import type { Video } from "../videos/shapes";
import { findNext, moveItem } from "./playlists";

test.each([
  [0, 2, "bcad"],
  [3, 0, "dabc"],
  [1, 9, "acdb"],
  [9, 0, "abcd"],
])("%i goes to %i", (from, to, order) => expect(moveItem([..."abcd"], from, to).join("")).toBe(order));

test("the next video of a list follows the one that plays", () => {
  const videos = [{ id: "a" }, { id: "b" }] as Video[];
  expect(findNext(videos, "a")?.id).toBe("b");
  expect(findNext(videos, "b")).toBeNull();
  expect(findNext(videos, "x")).toBeNull();
});
