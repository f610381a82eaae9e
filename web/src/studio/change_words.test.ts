/** What an owner reads before a change of a live on air. */
import { expect, test } from "vitest";
import type { Visibility } from "../videos/shapes";
import { chooseChanges, describeChange } from "./change_words";

const change = (before: Visibility, after: Visibility) =>
  describeChange({ title: "Harbour", visibility: before }, { title: "Harbour", visibility: after });

test("who is cut off is said of every audience that is smaller", () => {
  for (const before of ["public", "unlisted"] as const) {
    for (const after of ["followers", "subscribers", "private"] as const) {
      expect(change(before, after)).toEqual([expect.stringContaining("is cut off within a second")]);
    }
  }
  expect(change("followers", "subscribers")[0]).toContain("does not subscribe");
  expect(change("subscribers", "followers")[0]).toContain("does not follow");
});

test("what becomes open cuts nobody off, and what was private has nobody to cut off", () => {
  expect(change("private", "public")[0]).toContain("Nobody who watches is cut off");
  expect(change("public", "unlisted")[0]).toContain("Nobody who watches is cut off");
  expect(change("private", "followers")).toEqual(["They can watch from now on."]);
});

test("only what was changed here is written: the rest may be another page's by now", () => {
  const shown = { title: "Harbour", visibility: "public" as const };
  expect(chooseChanges(shown, { ...shown, title: " Port " })).toEqual({ title: "Port" });
  expect(chooseChanges(shown, { ...shown, visibility: "private" })).toEqual({ visibility: "private" });
  expect(chooseChanges(shown, { ...shown, title: "Harbour " })).toEqual({});
});

test("nothing is said of what stays as it is", () => {
  expect(change("followers", "followers")).toEqual([]);
  const live = { title: "Harbour", visibility: "public" as const };
  expect(describeChange(live, { ...live, title: "Harbour " })).toEqual([]);
  expect(describeChange(live, { ...live, title: "Port" })).toEqual([expect.stringContaining("loaded again")]);
});
