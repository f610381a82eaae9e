import { describe, expect, it } from "vitest";
import type { Layer } from "../kit/layers";
import { decideWay, describeBehind, isNoHelp, isSuffering, PATIENCE_MS, REST_MS, stepBehind, type WayFacts } from "./ways";

const FACTS: WayFacts = {
  nowMs: 1_000_000,
  way: "webrtc",
  isOnAir: true,
  isBehind: false,
  hasWebrtc: true,
  hasHls: true,
  withoutSinceMs: null,
  isRefused: false,
  lossesMs: [],
  restsUntilMs: null,
};

describe("the way of a live picture", () => {
  it("is WebRTC as long as that shows one", () => {
    expect(decideWay(FACTS)).toBe("webrtc");
    expect(decideWay({ ...FACTS, way: "hls" })).toBe("webrtc");
  });

  it("is HLS once WebRTC has been without a picture for a while, and stays so until it has one", () => {
    const without = { ...FACTS, hasWebrtc: false, withoutSinceMs: FACTS.nowMs - PATIENCE_MS + 1 };
    expect(decideWay(without)).toBe("webrtc");
    expect(decideWay({ ...without, nowMs: without.nowMs + 1 })).toBe("hls");
    expect(decideWay({ ...without, way: "hls" })).toBe("hls");
  });

  it("does not change while nobody sends", () => {
    const without = { ...FACTS, isOnAir: false, hasWebrtc: false, withoutSinceMs: 0 };
    expect(decideWay(without)).toBe("webrtc");
    expect(decideWay({ ...without, way: "hls" })).toBe("hls");
  });

  it("is HLS for who seeks back, and where WebRTC is refused", () => {
    expect(decideWay({ ...FACTS, isBehind: true })).toBe("hls");
    expect(decideWay({ ...FACTS, hasWebrtc: false, isRefused: true })).toBe("hls");
  });

  it("rests on HLS after WebRTC lost its picture again and again, then goes back", () => {
    const lossesMs = [30, 20, 1].map((s) => FACTS.nowMs - s * 1000);
    expect(decideWay({ ...FACTS, lossesMs })).toBe("hls");
    expect(decideWay({ ...FACTS, lossesMs, hasHls: false })).toBe("webrtc");
    expect(decideWay({ ...FACTS, lossesMs: lossesMs.slice(1) })).toBe("webrtc");
    expect(decideWay({ ...FACTS, lossesMs, nowMs: FACTS.nowMs + REST_MS })).toBe("webrtc");
  });
});

describe("a picture by WebRTC that stands still", () => {
  const layers = [1080, 360].map(
    (height): Layer => ({ encodingId: `${height}`, width: 2 * height, height, bitrate: 1, active: true }),
  );
  const smallest = { layers, playing: "360", chosen: null };
  const bad = { frozenShare: 0.2, lostShare: 0.05, watchedMs: 20_000 };

  it("rests on HLS, then goes back as soon as WebRTC has a picture", () => {
    const resting = { ...FACTS, way: "hls" as const, restsUntilMs: FACTS.nowMs + 2 };
    expect(decideWay({ ...resting, way: "webrtc" })).toBe("hls");
    expect(decideWay({ ...resting, nowMs: FACTS.nowMs + 1 })).toBe("hls");
    expect(decideWay({ ...resting, nowMs: FACTS.nowMs + 2, hasWebrtc: false })).toBe("hls");
    expect(decideWay({ ...resting, nowMs: FACTS.nowMs + 2 })).toBe("webrtc");
  });

  it("suffers where it stands still for more than 15 % of the time and packets are lost", () => {
    expect(isSuffering(bad, smallest)).toBe(true);
    expect(isSuffering({ ...bad, frozenShare: 0.15 }, smallest)).toBe(false);
    expect(isSuffering({ ...bad, lostShare: 0 }, smallest)).toBe(false);
    expect(isSuffering(null, smallest)).toBe(false);
  });

  it("is left only where no smaller one comes", () => {
    expect(isSuffering(bad, { ...smallest, playing: "1080" })).toBe(false);
    const [large, small] = layers as [Layer, Layer];
    const paused = { layers: [large, { ...small, active: false }], playing: "1080", chosen: null };
    expect(isSuffering(bad, paused)).toBe(true);
    expect(isSuffering(bad, { layers: [], playing: null, chosen: null })).toBe(true);
  });

  it("is taken back where HLS shows nothing for ten seconds", () => {
    expect(isNoHelp(FACTS.nowMs, FACTS.nowMs - 9_999, false)).toBe(false);
    expect(isNoHelp(FACTS.nowMs, FACTS.nowMs - 10_000, false)).toBe(true);
    expect(isNoHelp(FACTS.nowMs, FACTS.nowMs - 10_000, true)).toBe(false);
  });
});

describe("how far behind", () => {
  it("changes by steps, of which the last one forth ends live", () => {
    expect([stepBehind(0, -5), stepBehind(5, -5), stepBehind(12, 5), stepBehind(10, 5)]).toEqual([5, 10, 7, 0]);
  });

  it("is said in words", () => {
    expect(describeBehind(2)).toBe("live");
    expect(describeBehind(42)).toBe("0:42 behind");
    expect(describeBehind(3725)).toBe("1:02:05 behind");
  });
});
