import { expect, test } from "vitest";
import { WatchMeter, type WatchFacts, type WatchLook } from "./watch_meter";

const LOOK: WatchLook = { nowMs: 0, way: "webrtc", positionS: 0, shouldPlay: true, latencyS: 0.12, counts: null };

/** Looks twice a second; `moves` says whether the picture moved since the look before. */
function watch(meter: WatchMeter, moves: boolean[], more: Partial<WatchLook> = {}): WatchFacts[] {
  const reports: WatchFacts[] = [];
  let positionS = 0;
  [true, ...moves].forEach((isMoving, index) => {
    if (isMoving && index > 0) positionS += 0.5;
    const counts = { lost: index, received: 100 * index, decoded: positionS * 30 };
    const report = meter.look({ ...LOOK, nowMs: index * 500, positionS, counts, ...more });
    if (report) reports.push(report);
  });
  return reports;
}

const times = (count: number, value: boolean) => Array.from({ length: count }, () => value);

test("a smooth picture is reported every ten seconds with its packets", () => {
  const [report] = watch(new WatchMeter(), times(20, true));
  expect(report).toEqual({
    way: "webrtc",
    span_ms: 10_000,
    freezes: 0,
    stalled_ms: 0,
    lost: 20,
    received: 2000,
    latency_ms: 120,
    join_ms: 500,
  });
});

test("waiting for the first picture is joining, not standing still", () => {
  const [report] = watch(new WatchMeter(), [...times(5, false), ...times(20, true)]);
  expect(report?.join_ms).toBe(3000);
  expect(report?.freezes).toBe(0);
});

test("a picture that stands still is one freeze however long, and another the next time", () => {
  const moves = [...times(4, true), ...times(3, false), ...times(4, true), false, ...times(8, true)];
  const [report] = watch(new WatchMeter(), moves);
  expect(report?.freezes).toBe(2);
  expect(report?.stalled_ms).toBe(2000);
});

test("a picture that stands still while its sound plays on is a freeze", () => {
  const meter = new WatchMeter();
  let report: WatchFacts | null = null;
  for (let index = 0; index <= 20; index += 1) {
    const isStill = index >= 5 && index < 9;
    const counts = { lost: 0, received: 50 * index, decoded: isStill ? 4 * 15 : 15 * index };
    report = meter.look({ ...LOOK, nowMs: index * 500, positionS: index / 2, counts });
  }
  expect(report).toMatchObject({ freezes: 1, stalled_ms: 2000 });
});

/** Looks twice a second at what `tell` says of each. */
function follow(tell: (index: number) => Partial<WatchLook>, looks = 23): WatchFacts | null {
  const meter = new WatchMeter();
  let report: WatchFacts | null = null;
  for (let index = 0; index < looks && !report; index += 1) {
    report = meter.look({ ...LOOK, nowMs: index * 500, ...tell(index) });
  }
  return report;
}

test("a screen without sound that sends one picture a second does not stand still", () => {
  const report = follow((index) => {
    const pictures = Math.floor(index / 2);
    return { positionS: pictures, counts: { lost: 0, received: 3 * pictures, decoded: pictures } };
  });
  expect(report).toMatchObject({ freezes: 0, stalled_ms: 0 });
});

test("a connection on which nothing comes any more stands still, two seconds after its last picture", () => {
  const report = follow((index) => {
    const count = Math.min(index, 6);
    return { positionS: count / 2, counts: { lost: 0, received: 50 * count, decoded: 15 * count } };
  });
  expect(report).toMatchObject({ freezes: 1, stalled_ms: 5_500 });
});

test("sound alone is no first picture", () => {
  const report = follow((index) => {
    const pictures = Math.max(0, index - 4);
    return { positionS: index / 2, counts: { lost: 0, received: 50 * index, decoded: 15 * pictures } };
  }, 40);
  expect(report).toMatchObject({ freezes: 0, join_ms: 2_500 });
});

test("who pauses does not suffer, and a page that slept says nothing", () => {
  const meter = new WatchMeter();
  expect(watch(meter, times(40, false), { shouldPlay: false })).toEqual([]);
  meter.look({ ...LOOK, nowMs: 100_000 });
  expect(meter.look({ ...LOOK, nowMs: 160_000, positionS: 60 })).toBeNull();
});
