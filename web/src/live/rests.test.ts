import { expect, test } from "vitest";
import { CALM_MS, Rests, RESTS } from "./rests";

/** How long the next rest takes, begun at any time. */
function rest(rests: Rests): number {
  rests.begin(1_000);
  expect(rests.sinceMs).toBe(1_000);
  const tookMs = (rests.untilMs ?? Number.NaN) - 1_000;
  rests.end();
  expect([rests.sinceMs, rests.untilMs]).toEqual([null, null]);
  return tookMs;
}

test("rests grow up to six minutes", () => {
  const rests = new Rests(() => 1);
  expect([1, 2, 3, 4, 5].map(() => rest(rests) / 1000)).toEqual([90, 180, 360, 360, 360]);
});

test("viewers who suffered together come back one by one", () => {
  const [soon, late] = [new Rests(() => 0), new Rests(() => 1)];
  expect([rest(soon), rest(late)]).toEqual([RESTS.firstMs / 4, RESTS.firstMs]);
});

test("a picture that moved for two minutes makes the next rest as short as the first", () => {
  const rests = new Rests(() => 1);
  rest(rests);
  rests.noteCalm(CALM_MS - 1);
  expect(rest(rests)).toBe(2 * RESTS.firstMs);
  rests.noteCalm(CALM_MS);
  expect(rest(rests)).toBe(RESTS.firstMs);
});
