import { describe, expect, it } from "vitest";
import { decideWay, describeBehind, PATIENCE_MS, REST_MS, type WayFacts } from "./ways";

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

describe("how far behind", () => {
  it("is said in words", () => {
    expect(describeBehind(2)).toBe("live");
    expect(describeBehind(42)).toBe("0:42 behind");
    expect(describeBehind(3725)).toBe("1:02:05 behind");
  });
});
