/** A live by HLS that was paused, against a player of HLS and a video element played by the test. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HlsWay } from "./hls_way";
import { LevelMenu } from "./level_menu";

const played = vi.hoisted(() => ({
  handlers: new Map<string, (...told: unknown[]) => void>(),
  details: null as { fragmentStart: number; edge: number } | null,
  date: null as Date | null,
  config: { maxLiveSyncPlaybackRate: 0 },
}));

vi.mock("hls.js", () => ({
  default: class {
    static Events = { MANIFEST_PARSED: "parsed", LEVEL_SWITCHED: "switched", FRAG_BUFFERED: "buffered", ERROR: "error" };
    static ErrorDetails = { LEVEL_LOAD_ERROR: "level", MANIFEST_INCOMPATIBLE_CODECS_ERROR: "codecs" };
    static ErrorTypes = { MEDIA_ERROR: "media" };
    static isSupported = () => true;
    get latestLevelDetails() {
      return played.details;
    }
    get playingDate() {
      return played.date;
    }
    config = played.config;
    constructor(config: typeof played.config) {
      Object.assign(played.config, config);
    }
    levels = [];
    on = (event: string, handler: (...told: unknown[]) => void) => played.handlers.set(event, handler);
    loadSource = () => undefined;
    attachMedia = () => undefined;
    destroy = () => undefined;
  },
}));

let isPaused: boolean;
const video = {
  currentTime: 0,
  readyState: 4,
  seekable: { length: 0 },
  muted: false,
  get paused() {
    return isPaused;
  },
  play: () => Promise.resolve((isPaused = false)),
  pause: () => void (isPaused = true),
  removeAttribute: () => undefined,
} as unknown as HTMLVideoElement;

beforeEach(() => {
  isPaused = true;
  played.details = played.date = null;
  vi.useFakeTimers();
});

afterEach(() => void vi.useRealTimers());

/** Starts a way whose playlist is answered with this status; also what it was asked to avoid. */
async function refuse(code: number): Promise<{ way: HlsWay; avoided: (string | null)[] }> {
  const avoided: (string | null)[] = [];
  const find = (avoid: string | null) => {
    avoided.push(avoid);
    return Promise.resolve("http://edge/live/index.m3u8");
  };
  const way = new HlsWay(video, find, new LevelMenu());
  void way.start(null);
  await vi.advanceTimersByTimeAsync(100);
  played.handlers.get("error")?.("error", { fatal: true, details: "manifest", response: { code } });
  return { way, avoided };
}

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

  test("stays paused where the pause came before it played, and plays without sound where only that is allowed", async () => {
    const way = new HlsWay(video, () => Promise.resolve("http://edge/live/index.m3u8"), new LevelMenu());
    void way.start(null);
    await vi.advanceTimersByTimeAsync(100);
    const play = vi.spyOn(video, "play");
    for (const [name, isHeld] of [
      ["AbortError", true],
      ["NotAllowedError", false],
    ] as const) {
      [isPaused, video.muted] = [true, false];
      play.mockImplementationOnce(() => Promise.reject(new DOMException("", name)));
      way.resume();
      if (isHeld) way.pause();
      await vi.advanceTimersByTimeAsync(100);
      expect([isPaused, video.muted]).toEqual([isHeld, !isHeld]);
    }
    play.mockRestore();
    way.stop();
  });

  test("goes where somebody wished last once it shows something: hls.js begins at the live end", async () => {
    const way = new HlsWay(video, () => Promise.resolve("http://edge/live/index.m3u8"), new LevelMenu());
    const shown = video as { readyState: number; currentTime: number };
    void way.start(5);
    await vi.advanceTimersByTimeAsync(100);
    const bringPart = played.handlers.get("buffered") ?? expect.fail("nobody listens");
    played.details = { fragmentStart: 0, edge: 30 };
    shown.readyState = 0;
    bringPart();
    way.seekBehind(Number.POSITIVE_INFINITY);
    bringPart();
    [shown.readyState, shown.currentTime] = [4, 28];
    bringPart();
    expect(video.currentTime).toBe(0);
    way.seekBehind(5);
    bringPart();
    expect(video.currentTime).toBe(25);
    way.stop();
  });

  test("stays as far behind as somebody went, also when its player is made anew", async () => {
    const way = new HlsWay(video, () => Promise.resolve("http://edge/live/index.m3u8"), new LevelMenu());
    void way.start(null);
    await vi.advanceTimersByTimeAsync(100);
    played.details = { fragmentStart: 0, edge: 30 };
    played.handlers.get("buffered")?.();
    expect(played.config.maxLiveSyncPlaybackRate).toBeGreaterThan(1);
    way.seekBehind(10);
    expect(played.config.maxLiveSyncPlaybackRate).toBe(1);
    played.date = new Date(60_000);
    await vi.advanceTimersByTimeAsync(1_000);
    played.handlers.get("error")?.("error", { fatal: true, details: "manifest", response: { code: 503 } });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(played.config.maxLiveSyncPlaybackRate).toBe(1);
    [played.date, video.currentTime] = [new Date(73_000), 31];
    played.handlers.get("buffered")?.();
    expect(video.currentTime).toBe(18);
    way.seekBehind(0);
    expect(played.config.maxLiveSyncPlaybackRate).toBeGreaterThan(1);
    way.stop();
  });

  test("that is off is told so, and is asked for again after ten seconds, not at an edge elsewhere", async () => {
    const { way, avoided } = await refuse(409);
    await vi.advanceTimersByTimeAsync(9_000);
    expect(way.state.get().isOff).toBe(true);
    expect(avoided).toEqual([null]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(avoided).toEqual([null, null]);
    played.handlers.get("parsed")?.();
    expect(way.state.get().isOff).toBe(false);
    way.stop();
  });

  test("that fails is asked for again soon, elsewhere", async () => {
    const { way, avoided } = await refuse(503);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(way.state.get().isOff).toBe(false);
    expect(avoided).toEqual([null, "http://edge"]);
    way.stop();
  });
});
