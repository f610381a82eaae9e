/** What the rows of the trash say. */
import { expect, test } from "vitest";
import { describeEnd, describeLoss, isLeaving, replaceTrashed, type TrashedVideo } from "./trash";

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
