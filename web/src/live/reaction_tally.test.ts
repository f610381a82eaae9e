/** Sums of reactions, and what rises. */
import { expect, test } from "vitest";
import { applyBursts, applyCounts, BURSTS_MAX, readCounts, type Burst, type Totals } from "./reaction_tally";

test("counts add up, and what a room does not know is passed over", () => {
  const counts = readCounts({ counts: { "🔥": 12, "🎉": 1, "💩": 9 } as Totals });
  expect(counts).toEqual({ "🔥": 12, "🎉": 1 });
  expect(applyCounts({ "🔥": 3 }, counts)).toEqual({ "🔥": 15, "🎉": 1 });
});

test("each kind rises once with its number, and the oldest make room", () => {
  const [party, fire] = applyBursts([], { "🎉": 1, "🔥": 40 }, () => 50).reverse();
  expect(fire).toEqual({ id: 1, mark: "🔥", count: 40, place: 50 });
  expect(party?.id).toBe(2);
  let bursts: Burst[] = [];
  for (let turn = 0; turn < 30; turn += 1) bursts = applyBursts(bursts, { "🔥": 1 }, () => 0);
  expect(bursts.map((burst) => burst.id)).toEqual(Array.from({ length: BURSTS_MAX }, (_, index) => 19 + index));
});
