/** A live by HLS that was paused, against a player of HLS and a video element played by the test. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HlsWay } from "./hls_way";
import { LevelMenu } from "./level_menu";

const played = vi.hoisted(() => ({ handlers: new Map<string, () => void>() }));

vi.mock("hls.js", () => ({
  default: class {
    static Events = { MANIFEST_PARSED: "parsed", LEVEL_SWITCHED: "switched", FRAG_BUFFERED: "buffered", ERROR: "error" };
    static isSupported = () => true;
    latestLevelDetails = null;
    on = (event: string, handler: () => void) => played.handlers.set(event, handler);
    loadSource = () => undefined;
    attachMedia = () => undefined;
    destroy = () => undefined;
  },
}));

let isPaused: boolean;
const video = {
  seekable: { length: 0 },
  play: () => Promise.resolve((isPaused = false)),
  pause: () => void (isPaused = true),
  removeAttribute: () => undefined,
} as unknown as HTMLVideoElement;

beforeEach(() => {
  isPaused = true;
  vi.useFakeTimers();
});

afterEach(() => void vi.useRealTimers());

describe("a live by HLS", () => {
  test("plays with its first part, and stands still from a pause on until somebody plays it", async () => {
    const way = new HlsWay(video, () => Promise.resolve("http://edge/live/index.m3u8"), new LevelMenu());
    void way.start(null);
    await vi.advanceTimersByTimeAsync(100);
    const bringPart = played.handlers.get("buffered") ?? expect.fail("nobody listens");
    bringPart();
    expect(isPaused).toBe(false);
    way.pause();
    bringPart();
    expect(isPaused).toBe(true);
    way.resume();
    expect(isPaused).toBe(false);
    way.pause();
    way.stop();
  });
});
