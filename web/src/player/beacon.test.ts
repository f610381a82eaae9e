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
  tally.noteStop();
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
