/** What a session adds up to. */
import { expect, test } from "vitest";
import { SessionTally } from "./beacon";

test("a session counts what was played, how soon it began and where it stalled", () => {
  const tally = new SessionTally("s");
  expect(tally.report()).toBeNull();
  tally.noteStall(0);
  tally.noteWish(1_000);
  tally.notePlay(0, 100, 1_600);
  tally.notePlay(0.5, 100, 2_100);
  tally.noteStall(2_200);
  tally.noteStall(2_300);
  tally.notePlay(0.6, 100, 3_200);
  tally.noteSwitch();
  tally.notePlay(1.6, 100, 4_200);
  tally.noteStop(4_300);
  tally.noteStart(99.5);
  tally.notePlay(99.99, 100, 60_000);
  tally.notePlay(100, 100, 60_500);
  expect(tally.report()).toEqual({
    session: "s",
    watched_ms: 2_000,
    parts: [0, 1, 99],
    start_ms: 600,
    stalls: 1,
    stalled_ms: 1_000,
    switches: 1,
  });
});

test("a short video that was played through was played in all its parts", () => {
  const tally = new SessionTally("s");
  tally.noteWish(0);
  tally.noteStart(0);
  for (const at of [0.25, 1, 1.75]) tally.notePlay(at, 4, at * 1_000);
  expect(tally.report()?.parts).toEqual(Array.from({ length: 44 }, (_, part) => part));
  tally.noteStop(1_800);
  tally.noteStart(3);
  tally.notePlay(3.1, 4, 9_000);
  expect(tally.report()?.parts.slice(44)).toEqual([75, 76, 77]);
});

test("what was played since the last look counts when it stops, and a wait that is given up", () => {
  const tally = new SessionTally("s");
  tally.noteEnd(0, 100, 10);
  expect(tally.report()).toBeNull();
  tally.noteWish(1_000);
  tally.notePlay(0, 100, 1_500);
  tally.noteEnd(1.2, 100, 1_800);
  expect(tally.report()).toMatchObject({ watched_ms: 300, parts: [0, 1], stalls: 0 });
  tally.noteStart(1.2);
  tally.notePlay(1.3, 100, 5_000);
  tally.noteStall(5_100);
  tally.noteEnd(1.3, 100, 7_100);
  tally.noteEnd(1.3, 100, 9_000);
  expect(tally.report()).toMatchObject({ watched_ms: 300, stalls: 1, stalled_ms: 2_000 });
});
