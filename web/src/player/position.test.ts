/** When a position is told. */
import { expect, test } from "vitest";
import { PositionTeller } from "./position";

test("a position is told every ten seconds of play, and at once when it stops", () => {
  const told: number[] = [];
  const teller = new PositionTeller((positionS) => told.push(positionS));
  for (let second = 1; second <= 25; second += 1) teller.note(second, second * 1000, false);
  expect(told).toEqual([1, 11, 21]);
  teller.note(25.5, 25_500, true);
  teller.note(25.6, 25_600, true);
  expect(told).toEqual([1, 11, 21, 25.5]);
});
