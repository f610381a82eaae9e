import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LivePlayer } from "./live_player";
import { PATIENCE_MS } from "./ways";

/** A player of HLS whose edge says that the live has none. */
vi.mock("hls.js", () => ({
  default: class {
    static Events = { MANIFEST_PARSED: "parsed", LEVEL_SWITCHED: "switched", FRAG_BUFFERED: "buffered", ERROR: "error" };
    static ErrorDetails = {};
    static ErrorTypes = {};
    static isSupported = () => true;
    latestLevelDetails = null;
    config = {};
    #fail: (...told: unknown[]) => void = () => undefined;
    on = (event: string, handler: (...told: unknown[]) => void) => {
      if (event === "error") this.#fail = handler;
    };
    loadSource = () => this.#fail("error", { fatal: true, details: "manifest", response: { code: 409 } });
    attachMedia = () => undefined;
    destroy = () => undefined;
  },
}));

/** WebRTC that comes to nothing: not even its offer is ever made. */
class PendingPeer extends EventTarget {
  addTransceiver = () => ({});
  createOffer = () => new Promise(() => undefined);
  close = () => undefined;
}

let player: LivePlayer;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("RTCPeerConnection", PendingPeer);
  vi.stubGlobal("RTCRtpReceiver", { getCapabilities: () => null });
  vi.stubGlobal("MediaStream", class {});
  const video = {
    seekable: { length: 0 },
    play: () => Promise.resolve(),
    pause: () => undefined,
    removeAttribute: () => undefined,
  };
  player = new LivePlayer({
    video: video as unknown as HTMLVideoElement,
    whep: "http://localhost/whep/1",
    token: () => Promise.resolve(null),
    hls: () => Promise.resolve("http://localhost/live/1/index.m3u8"),
    elapsedS: () => 12,
    isSeen: () => true,
  });
});

afterEach(() => {
  player.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the player of a live", () => {
  it("begins with WebRTC as soon as the live is on air", async () => {
    expect(player.state.get()).toMatchObject({ way: "webrtc", phase: "waiting" });
    player.setLive(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(player.state.get()).toMatchObject({ way: "webrtc", phase: "connecting", lengthS: 12 });
  });

  it("says so when there is neither WebRTC nor HLS, after a while", async () => {
    player.setLive(true);
    void player.start();
    await vi.advanceTimersByTimeAsync(PATIENCE_MS - 1_000);
    expect(player.state.get()).toMatchObject({ way: "webrtc", phase: "connecting" });
    await vi.advanceTimersByTimeAsync(3_000);
    expect(player.state.get()).toMatchObject({ way: "hls", phase: "failed", error: { code: "hls_off" } });
  });

  it("says so where the browser has no WebRTC either", async () => {
    vi.stubGlobal("RTCPeerConnection", undefined);
    player.setLive(true);
    void player.start();
    await vi.advanceTimersByTimeAsync(PATIENCE_MS + 1_000);
    const phases = new Set<string>();
    player.state.subscribe(({ phase }) => void phases.add(phase));
    await vi.advanceTimersByTimeAsync(20_000);
    expect(player.state.get()).toMatchObject({ way: "hls", phase: "failed", error: { code: "hls_off" } });
    expect([...phases].filter((phase) => phase !== "failed")).toEqual([]);
  });

  it("goes live again when somebody winds back what HLS does not have, and offers it no more", async () => {
    player.setLive(true);
    void player.start();
    player.seekBehind(8);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(player.state.get()).toMatchObject({ phase: "connecting", canGoBack: false });
    player.seekBehind(8);
    expect(player.state.get()).toMatchObject({ phase: "connecting", behindS: 0 });
    player.setLive(false);
    expect(player.state.get().canGoBack).toBe(true);
  });
});
