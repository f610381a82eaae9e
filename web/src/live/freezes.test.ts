import { expect, test } from "vitest";
import { Freezes, REMEMBERED_MS, type Distress } from "./freezes";

interface Watching {
  nowMs: number;
  lost: number;
  received: number;
  decoded: number;
}

const STEPS = REMEMBERED_MS / 500;

function begin(): { freezes: Freezes; at: Watching } {
  return { freezes: new Freezes(), at: { nowMs: 0, lost: 0, received: 0, decoded: 0 } };
}

/** Looks twice a second: `frozen` of every `of` looks find the picture where it was. */
function watch(
  { freezes, at }: ReturnType<typeof begin>,
  count: number,
  { frozen = 0, of = 10, arriving = 50, isWatched = true } = {},
): Distress | null {
  let last: Distress | null = null;
  for (let index = 0; index < count; index += 1) {
    const isFrozen = index % of < frozen;
    at.nowMs += 500;
    at.decoded += isFrozen ? 0 : 15;
    at.received += isFrozen ? arriving : 50;
    at.lost += isFrozen ? 10 : 0;
    const { nowMs, ...counts } = at;
    last = freezes.look({ nowMs, counts, isWatched });
  }
  return last;
}

test("says nothing before it has watched for twenty seconds, then what they were like", () => {
  const watching = begin();
  expect(watch(watching, STEPS, { frozen: 2 })).toBeNull();
  const distress = watch(watching, 10, { frozen: 2 });
  expect(distress?.frozenShare).toBeCloseTo(0.2);
  expect(distress?.lostShare).toBeCloseTo(80 / 2080);
});

test("forgets what is longer ago", () => {
  const watching = begin();
  watch(watching, STEPS + 1, { frozen: 5 });
  expect(watch(watching, STEPS)).toEqual({ frozenShare: 0, lostShare: 0, watchedMs: 2 * REMEMBERED_MS });
});

test("counts what was watched until it is told to forget", () => {
  const watching = begin();
  expect(watch(watching, 3 * STEPS + 1)?.watchedMs).toBe(3 * REMEMBERED_MS);
  watching.freezes.forget();
  expect(watch(watching, STEPS + 1)?.watchedMs).toBe(REMEMBERED_MS);
});

test("a picture whose packets do not come stands still for its publisher", () => {
  const watching = begin();
  expect(watch(watching, STEPS + 1, { frozen: 5, arriving: 0 })?.frozenShare).toBe(0);
});

test("a picture a second whose packets come just before a look, and which is shown behind it, does not stand still", () => {
  const { freezes, at } = begin();
  let distress: Distress | null = null;
  for (let index = 0; index < 2 * STEPS; index += 1) {
    at.nowMs += 500;
    if (index % 2 === 0) at.received += 1;
    else at.decoded += 1;
    const { nowMs, ...counts } = at;
    distress = freezes.look({ nowMs, counts, isWatched: true });
  }
  expect(distress?.frozenShare).toBe(0);
});

test("what nobody sees counts neither way", () => {
  const watching = begin();
  watch(watching, STEPS + 1);
  expect(watch(watching, STEPS, { frozen: 10, isWatched: false })).toBeNull();
  watch(watching, 1);
  expect(watch(watching, 1)?.frozenShare).toBe(0);
});

test("a connection that took another's place begins with packets of its own", () => {
  const watching = begin();
  watch(watching, STEPS + 1);
  watching.at.received = watching.at.lost = watching.at.decoded = 0;
  expect(watch(watching, 1)).toBeNull();
  expect(watch(watching, 1)).toEqual({ frozenShare: 0, lostShare: 0, watchedMs: REMEMBERED_MS + 500 });
});
