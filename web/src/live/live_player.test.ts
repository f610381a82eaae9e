/** The player of a live against a browser, an edge and a player of HLS played by the test. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LivePlayer } from "./live_player";
import { CALM_MS, RESTS } from "./rests";

const played = vi.hoisted(() => ({ bring: null as (() => void) | null, hasHls: true }));

vi.mock("hls.js", () => ({
  default: class {
    static Events = { MANIFEST_PARSED: "parsed", LEVEL_SWITCHED: "switched", FRAG_BUFFERED: "buffered", ERROR: "error" };
    static isSupported = () => true;
    levels = [];
    config = {};
    get latestLevelDetails() {
      return played.hasHls ? { fragmentStart: 0, edge: 20 } : null;
    }
    on = (event: string, handler: () => void) => {
      if (event === "buffered") played.bring = handler;
    };
    loadSource = () => undefined;
    attachMedia = () => undefined;
    destroy = () => undefined;
  },
}));

let peers: PlayedPeer[];
/** What arrives of the picture with each look at it. */
let arriving: { lost: number; received: number };
/** So many pictures were decoded. */
let decoded: number;

class PlayedPeer extends EventTarget {
  connectionState = "new";
  iceGatheringState = "complete";
  localDescription = { sdp: "offer" };
  lost = 0;
  received = 0;
  constructor() {
    super();
    peers.push(this);
  }
  addTransceiver = () => ({});
  createOffer = () => Promise.resolve({});
  setLocalDescription = () => Promise.resolve();
  setRemoteDescription = () => Promise.resolve(void (this.connectionState = "connected"));
  getStats = () => {
    this.lost += arriving.lost;
    this.received += arriving.received;
    const packets = { packetsLost: this.lost, packetsReceived: this.received, framesDecoded: decoded };
    return Promise.resolve(
      new Map([
        ["T", { type: "transport", bytesReceived: this.received }],
        ["V", { type: "inbound-rtp", kind: "video", bytesReceived: this.received, ...packets }],
      ]),
    );
  };
  close = () => void (this.connectionState = "closed");
}

class PlayedVideo extends EventTarget {
  currentTime = 0;
  paused = false;
  readyState = 4;
  seekable = { length: 0 };
  play = () => Promise.resolve(void (this.paused = false));
  pause = () => void (this.paused = true);
  removeAttribute = () => undefined;
  /** A picture of HLS is there. */
  async begin(): Promise<void> {
    played.bring?.();
    await vi.advanceTimersByTimeAsync(0);
    if (!this.paused) this.dispatchEvent(new Event("playing"));
    await vi.advanceTimersByTimeAsync(1000);
  }
}

function makePlayer(): { player: LivePlayer; video: PlayedVideo } {
  const video = new PlayedVideo();
  const player = new LivePlayer({
    video: video as unknown as HTMLVideoElement,
    whep: "http://localhost/whep/1",
    token: () => Promise.resolve(null),
    hls: () => Promise.resolve("http://localhost/live/index.m3u8"),
    elapsedS: () => 12,
    isSeen: () => true,
  });
  player.setLive(true);
  return { player, video };
}

/** Lets so many seconds pass, in each of which the picture moves for so long; the sound goes on. */
async function pass(video: { currentTime: number }, seconds: number, movesS: number): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    for (const least of [0.5, 0]) {
      video.currentTime += 0.5;
      decoded += movesS > least ? 15 : 0;
      await vi.advanceTimersByTimeAsync(500);
    }
  }
}

beforeEach(() => {
  [peers, arriving, decoded, played.hasHls] = [[], { lost: 5, received: 50 }, 0, true];
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
  vi.stubGlobal("RTCPeerConnection", PlayedPeer);
  vi.stubGlobal("MediaStream", class {});
  vi.stubGlobal("RTCRtpReceiver", { getCapabilities: () => null });
  vi.stubGlobal("fetch", (url: string) => {
    const headers = new Headers({ location: `http://localhost/sessions/${peers.length}` });
    return Promise.resolve({ status: 201, url, headers, text: () => Promise.resolve("answer") });
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe("the player of a live", () => {
  it("begins with WebRTC as soon as the live is on air", async () => {
    const { player } = makePlayer();
    const phases = new Set<string>();
    player.state.subscribe(({ phase }) => void phases.add(phase));
    await vi.advanceTimersByTimeAsync(0);
    expect([...phases]).toEqual(["connecting", "playing"]);
    expect(player.state.get()).toMatchObject({ way: "webrtc", lengthS: 12 });
    player.stop();
  });

  it("takes HLS at once where the browser has no WebRTC or it is switched off, and WebRTC once it is on", async () => {
    const switchedOff = class {
      constructor() {
        throw new DOMException("Switched off.", "NotSupportedError");
      }
    };
    for (const connection of [undefined, switchedOff]) {
      vi.stubGlobal("RTCPeerConnection", connection);
      vi.stubGlobal("MediaStream", undefined);
      const { player, video } = makePlayer();
      await vi.advanceTimersByTimeAsync(0);
      expect(player.state.get().way).toBe("hls");
      void player.start();
      await pass(video, 1, 1);
      await video.begin();
      expect(player.state.get()).toMatchObject({ way: "hls", phase: "playing", error: null });
      vi.stubGlobal("RTCPeerConnection", PlayedPeer);
      vi.stubGlobal("MediaStream", class {});
      await pass(video, 10, 1);
      expect(player.state.get()).toMatchObject({ way: "webrtc", phase: "playing" });
      player.stop();
    }
  });

  it("stops once HLS has a picture, unless it is let go on meanwhile", async () => {
    for (const isLetGoOn of [false, true]) {
      const { player, video } = makePlayer();
      void player.start();
      await pass(video, 3, 1);
      player.togglePause();
      video.paused = true; // as another source leaves an element
      await vi.advanceTimersByTimeAsync(1000);
      expect(player.state.get()).toMatchObject({ way: "hls", isPaused: true });
      if (isLetGoOn) player.togglePause();
      await video.begin();
      expect(video.paused).toBe(!isLetGoOn);
      expect(player.state.get().isPaused).toBe(!isLetGoOn);
      player.stop();
    }
  });

  it("takes HLS while WebRTC's picture stands still on a bad connection, and WebRTC again after a rest", async () => {
    const { player, video } = makePlayer();
    void player.start();
    await pass(video, 5, 1);
    expect(player.state.get()).toMatchObject({ way: "webrtc", phase: "playing" });
    await pass(video, 20, 0.5);
    expect(player.state.get().way).toBe("hls");
    await pass(video, 2, 1);
    expect(player.state.get()).toMatchObject({ way: "hls", phase: "playing" });
    expect(peers.map((peer) => peer.connectionState)).toEqual(["closed"]);
    await pass(video, RESTS.firstMs / 1000, 1);
    expect(player.state.get()).toMatchObject({ way: "webrtc", phase: "playing" });
    expect(peers.map((peer) => peer.connectionState)).toEqual(["closed", "connected"]);
    player.stop();
  });

  it("rests for longer where WebRTC's picture stands still again, and as at first where it moved in between", async () => {
    const { player, video } = makePlayer();
    void player.start();
    /** Suffers, then counts the seconds until WebRTC is back. */
    const suffer = async () => {
      for (let waits = 0; player.state.get().way === "webrtc"; waits += 1) {
        expect(waits).toBeLessThan(60);
        await pass(video, 1, 0.5);
      }
      let rested = 0;
      for (; player.state.get().way === "hls"; rested += 1) await pass(video, 1, 1);
      return rested;
    };
    const [first, second] = [await suffer(), await suffer()];
    expect(Math.abs(first - RESTS.firstMs / 1000)).toBeLessThan(3);
    expect(Math.abs(second - 2 * first)).toBeLessThan(6);
    await pass(video, CALM_MS / 1000 + 5, 1);
    expect(Math.abs((await suffer()) - first)).toBeLessThan(3);
    player.stop();
  });

  it("stays with WebRTC where HLS shows nothing, and leaves it no more", async () => {
    played.hasHls = false;
    const { player, video } = makePlayer();
    const ways: string[] = [];
    player.state.subscribe(({ way }) => ways.at(-1) !== way && ways.push(way));
    void player.start();
    await pass(video, 120, 0.5);
    expect(ways).toEqual(["webrtc", "hls", "webrtc"]);
    expect(peers.map((peer) => peer.connectionState)).toEqual(["connected"]);
    player.stop();
  });

  it("stays with WebRTC on a connection that loses nothing: the picture itself stands still", async () => {
    arriving = { lost: 0, received: 1 };
    const { player, video } = makePlayer();
    void player.start();
    await pass(video, 60, 0.5);
    expect(player.state.get().way).toBe("webrtc");
    player.stop();
  });
});
