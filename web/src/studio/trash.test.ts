/** What the rows of the trash say. */
import { expect, test } from "vitest";
import type { Page } from "../kit/api";
import { ApiError } from "../kit/errors";
import { describeEnd, describeLoss, findOldestLeaving, isLeaving, isNotInTrash } from "./trash";
import { mergeTrashed, replaceTrashed, type TrashedVideo } from "./trash";
import { LOOK_PAGES_MAX, lookUntil } from "./trash_looks";

const NOW = Date.parse("2026-01-01T12:00:00Z");
const VIDEO: TrashedVideo = {
  id: "1",
  title: "Walk",
  duration_ms: 1000,
  size_bytes: 48_200_000,
  deleted_at: "2026-01-01T11:00:00Z",
  purge_at: "2026-01-05T12:00:00Z",
  is_final: false,
  is_restorable: true,
};

test("a deleted video says when its bytes go", () => {
  expect(describeEnd(VIDEO, NOW)).toBe("To be removed in 4 days");
  expect(describeEnd({ ...VIDEO, purge_at: "2026-01-01T12:00:30Z" }, NOW)).toBe("To be removed within a minute");
});

test("one that was deleted for good, or is overdue, is being removed", () => {
  expect(describeEnd({ ...VIDEO, is_final: true }, NOW)).toBe("Being removed");
  expect(describeEnd({ ...VIDEO, purge_at: "2026-01-01T11:59:00Z" }, NOW)).toBe("Being removed");
});

test("who deletes for good is told what it costs and what it gives", () => {
  expect(describeLoss(VIDEO)).toContain("no longer be restored");
  expect(describeLoss(VIDEO)).toContain("room for 48.2 MB");
  expect(describeLoss({ ...VIDEO, size_bytes: 0 })).not.toContain("room");
});

test("the list is looked at again while something leaves it", () => {
  const final = { ...VIDEO, is_final: true };
  expect(isLeaving([VIDEO])).toBe(false);
  expect(replaceTrashed([VIDEO], final)).toEqual([final]);
  expect(isLeaving(replaceTrashed([VIDEO], final))).toBe(true);
  expect(replaceTrashed([], final)).toEqual([]);
});

/** Deleted so many minutes before the others. */
function makeEntry(id: string, minutes: number, isFinal = false): TrashedVideo {
  const deletedAt = new Date(NOW - minutes * 60_000).toISOString();
  return { ...VIDEO, id, deleted_at: deletedAt, is_final: isFinal, is_restorable: !isFinal };
}

test("a look refreshes what is known and adds nothing", () => {
  const known = [makeEntry("a", 1), makeEntry("b", 2, true), makeEntry("c", 3)];
  const found = [makeEntry("new", 0), makeEntry("a", 1, true), makeEntry("b", 2, true)];
  expect(mergeTrashed(known, { items: found, isWhole: false })).toEqual([found[1], known[1], known[2]]);
});

test("what was about to leave and comes no more is dropped, anything else stays", () => {
  const known = [makeEntry("a", 1), makeEntry("b", 2, true), makeEntry("c", 3)];
  expect(mergeTrashed(known, { items: [makeEntry("c", 3)], isWhole: true })).toEqual([known[0], known[2]]);
  expect(mergeTrashed([makeEntry("b", 2, true)], { items: [], isWhole: true })).toEqual([]);
});

test("an entry behind the end of a look stays, and one as old as its end", () => {
  const known = [makeEntry("a", 1), makeEntry("b", 2, true), makeEntry("c", 3, true)];
  const look = { items: [makeEntry("a", 1), makeEntry("other", 2)], isWhole: false };
  expect(mergeTrashed(known, look)).toEqual(known);
  expect(mergeTrashed(known, { ...look, isWhole: true })).toEqual([known[0]]);
});

test("a look goes on behind the oldest entry that is about to leave, and no further", async () => {
  const trash = Array.from({ length: 10 }, (_, index) => makeEntry(String(index), index, index === 1 || index === 3));
  expect(findOldestLeaving([trash[3]!, trash[1]!, trash[8]!])).toBe(trash[3]!.deleted_at);
  expect(findOldestLeaving([trash[8]!])).toBeNull();
  const asked: (string | null)[] = [];
  const ask = (cursor: string | null): Promise<Page<TrashedVideo>> => {
    asked.push(cursor);
    const start = Number(cursor ?? 0);
    return Promise.resolve({
      items: trash.slice(start, start + 2),
      next_cursor: start + 2 < trash.length ? String(start + 2) : null,
    });
  };
  expect(await lookUntil(trash[3]!.deleted_at, ask)).toEqual({ items: trash.slice(0, 6), isWhole: false });
  expect(asked).toEqual([null, "2", "4"]);
  expect(await lookUntil(makeEntry("gone", 99).deleted_at, ask)).toEqual({ items: trash, isWhole: true });
});

test("a look has an end in a trash without one", async () => {
  let asked = 0;
  const ask = () => Promise.resolve({ items: [makeEntry(String(asked++), 0)], next_cursor: "next" });
  expect((await lookUntil(makeEntry("old", 1).deleted_at, ask)).isWhole).toBe(false);
  expect(asked).toBe(LOOK_PAGES_MAX);
});

test("only a refusal that names the video says that it is not in the trash", () => {
  expect(isNotInTrash(new ApiError("video_not_found", 404, "There is no such video."))).toBe(true);
  expect(isNotInTrash(new ApiError("http_404", 404, "There is nothing here."))).toBe(false);
  expect(isNotInTrash(new ApiError("video_not_restorable", 409, "It is too late."))).toBe(false);
  expect(isNotInTrash(new Error("video_not_found"))).toBe(false);
});
