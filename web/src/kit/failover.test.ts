/** Both WebRTC clients when the edge behind them dies, against a browser and edges played by the test. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { WhepViewer } from "./whep";
import { WhipPublisher } from "./whip";

const RELAY = '<turn:t.example:3478?transport=tcp>; rel="ice-server"; username="9:a"; credential="c="';
const SMALL = { bitrateBps: 1, linesMax: 1 };
const EDGES = ["http://edge-0", "http://edge-1"] as const;
let dead: Set<string>;
let full: Set<string>;
let asked: string[];
let peers: PlayedPeer[];
let busy: boolean;
let needsRelay: boolean;
/** Where the browser counts what comes. */
let countedBy: string;
/** Another publisher has the live: sessions of this one are over, whatever it thinks. */
let isTaken: boolean;

/** A connection to the edge that answered last; bytes come while that edge lives. */
class PlayedPeer extends EventTarget {
  connectionState = "new";
  iceGatheringState = "complete";
  localDescription = { sdp: "offer" };
  edge = "";
  bytes = 0;
  constructor(readonly configuration: RTCConfiguration = {}) {
    super();
    peers.push(this);
  }
  senders: PlayedSender[] = [];
  addTransceiver = (track: unknown, { sendEncodings }: RTCRtpTransceiverInit) => {
    const sender = new PlayedSender(track, sendEncodings ?? []);
    this.senders.push(sender);
    return { sender };
  };
  getSenders = () => this.senders;
  createOffer = () => Promise.resolve({});
  setLocalDescription = () => Promise.resolve();
  ontrack: (event: unknown) => void = () => undefined;
  setRemoteDescription = (answer: { sdp: string }) => {
    this.ontrack({ track: this });
    this.edge = answer.sdp;
    const isBlocked = needsRelay && !this.configuration.iceServers?.length;
    this.connectionState = isBlocked ? "connecting" : "connected";
    return Promise.resolve();
  };
  getStats = () => {
    if (!dead.has(this.edge) && !busy) this.bytes += 100;
    const { bytes } = this;
    return Promise.resolve(
      new Map([
        ["T", { type: "transport", ...(countedBy === "transport" ? { bytesReceived: bytes } : {}) }],
        ["P", { type: "candidate-pair", ...(countedBy === "candidate-pair" ? { bytesReceived: bytes } : {}) }],
        ["V", { type: "inbound-rtp", bytesReceived: bytes }],
      ]),
    );
  };
  close = () => {
    this.connectionState = "closed";
  };
}

/** As browsers have it: parameters are read anew before each change, and one change is made at a time. */
class PlayedSender {
  #isChanging = false;
  constructor(
    readonly track: unknown,
    public encodings: RTCRtpEncodingParameters[],
  ) {}
  getParameters = () => ({ encodings: structuredClone(this.encodings) });
  setParameters = async ({ encodings }: { encodings: RTCRtpEncodingParameters[] }) => {
    if (this.#isChanging) throw new Error("InvalidStateError");
    this.#isChanging = true;
    await Promise.resolve();
    [this.encodings, this.#isChanging] = [encodings, false];
  };
}

class PlayedStream {
  tracks: unknown[] = [];
  addTrack(track: unknown): void {
    this.tracks.push(track);
  }
}

function playFetch(url: string, { method }: RequestInit = {}): Promise<unknown> {
  asked.push(url);
  if (isTaken && method === "DELETE") {
    const body = JSON.stringify({ error: "publisher_replaced", message: "Another sender took over this live." });
    return Promise.resolve({ ok: false, status: 410, headers: new Headers(), text: () => Promise.resolve(body) });
  }
  const edge = EDGES.find((known) => url.startsWith(known));
  if (edge) return dead.has(edge) ? Promise.reject(new TypeError("refused")) : Promise.resolve({});
  const avoid = new URL(url).searchParams.get("avoid");
  const chosen = EDGES.find((known) => known !== avoid) ?? EDGES[0];
  if (dead.has(chosen)) return Promise.reject(new TypeError("refused"));
  if (full.has(chosen)) {
    const headers = new Headers({ "retry-after": "5" });
    return Promise.resolve({ status: 503, url: `${chosen}/whep`, redirected: true, headers, text: () => Promise.resolve("{}") });
  }
  const headers = new Headers({ location: `${chosen}/sessions/${peers.length}`, link: RELAY });
  return Promise.resolve({ status: 201, url: chosen, headers, text: () => Promise.resolve(chosen) });
}

beforeEach(() => {
  vi.useFakeTimers();
  [dead, full, asked, peers, busy, needsRelay] = [new Set(), new Set(), [], [], false, false];
  countedBy = "transport";
  isTaken = false;
  vi.stubGlobal("RTCPeerConnection", PlayedPeer);
  vi.stubGlobal("MediaStream", PlayedStream);
  vi.stubGlobal("RTCRtpReceiver", { getCapabilities: () => null });
  vi.stubGlobal("RTCRtpSender", { getCapabilities: () => null });
  vi.stubGlobal("fetch", playFetch);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function watch(): { viewer: WhepViewer; streams: PlayedStream[] } {
  const streams: PlayedStream[] = [];
  const viewer = new WhepViewer({
    url: "http://api/whep/1",
    token: () => Promise.resolve(null),
    onStream: (stream) => streams.push(stream as unknown as PlayedStream),
    onLayers: () => undefined,
  });
  viewer.setLive(true);
  void viewer.start();
  return { viewer, streams };
}

describe("a viewer", () => {
  test("whose edge died plays from another one within two seconds, and never said that it was lost", async () => {
    const { viewer, streams } = watch();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(peers.map((peer) => peer.edge)).toEqual([EDGES[0]]);
    dead.add(EDGES[0]);
    const phases: string[] = [];
    viewer.state.subscribe(() => phases.push(viewer.state.get().phase));
    await vi.advanceTimersByTimeAsync(2_000);
    expect(peers.map((peer) => [peer.edge, peer.connectionState])).toEqual([
      [EDGES[0], "closed"],
      [EDGES[1], "connected"],
    ]);
    expect(asked.at(-1)).toBe(`http://api/whep/1?avoid=${encodeURIComponent(EDGES[0])}`);
    expect(streams).toHaveLength(2);
    expect(new Set(phases)).toEqual(new Set(["playing"]));
    viewer.stop();
  });

  test("leaves sooner when its socket broke off, too", async () => {
    const { viewer } = watch();
    await vi.advanceTimersByTimeAsync(2_000);
    dead.add(EDGES[0]);
    viewer.doubt();
    await vi.advanceTimersByTimeAsync(800);
    expect(peers.at(-1)).toMatchObject({ edge: EDGES[1], connectionState: "connected" });
    viewer.stop();
  });

  test("stays at an edge that was only busy for a moment", async () => {
    const { viewer, streams } = watch();
    await vi.advanceTimersByTimeAsync(2_000);
    busy = true;
    dead.add(EDGES[1]);
    await vi.advanceTimersByTimeAsync(900);
    busy = false;
    viewer.doubt();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(viewer.state.get().phase).toBe("playing");
    expect(peers[0]?.connectionState).toBe("connected");
    expect(streams).toHaveLength(1);
    viewer.stop();
  });
});

describe("where the browser counts bytes by candidate pair, as Firefox did for long,", () => {
  test("a viewer stays with its edge, and leaves it when it dies", async () => {
    countedBy = "candidate-pair";
    const { viewer } = watch();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(viewer.state.get().phase).toBe("playing");
    expect(peers).toHaveLength(1);
    dead.add(EDGES[0]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(peers.at(-1)).toMatchObject({ edge: EDGES[1], connectionState: "connected" });
    viewer.stop();
  });

  test("the studio goes on sending", async () => {
    countedBy = "candidate-pair";
    const stream = { getTracks: () => [] } as unknown as MediaStream;
    const request = { url: "http://api/whip", streamKey: "k", stream, largest: SMALL, sendsSeveral: false };
    const publisher = new WhipPublisher(request);
    void publisher.start();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(publisher.state.get().phase).toBe("live");
    expect(asked).toEqual(["http://api/whip"]); // and no edge whether it lives
    publisher.stop();
  });
});

describe("where the browser counts no bytes at all", () => {
  test("nobody is taken for dead by that", async () => {
    countedBy = "nothing";
    const { viewer } = watch();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(viewer.state.get().phase).toBe("playing");
    expect(peers).toHaveLength(1);
    viewer.stop();
  });
});

describe("a viewer behind a firewall", () => {
  test("goes through the edge's TURN server, and the next time at once; others never ask it", async () => {
    const free = watch();
    await vi.advanceTimersByTimeAsync(5_000);
    free.viewer.stop();
    needsRelay = true;
    const { viewer, streams } = watch();
    await vi.advanceTimersByTimeAsync(4_000);
    expect(viewer.state.get().phase).toBe("playing");
    expect(streams.map((stream) => stream.tracks)).toEqual([[peers[2]]]);
    const relay = { urls: "turn:t.example:3478?transport=tcp", username: "9:a", credential: "c=" };
    const servers = () => peers.map((peer) => peer.configuration.iceServers);
    expect(servers()).toEqual([[], [], [relay]]);
    expect(peers[1]?.connectionState).toBe("closed");
    viewer.stop();
    const again = watch();
    await vi.advanceTimersByTimeAsync(500);
    expect(again.viewer.state.get().phase).toBe("playing");
    expect(servers().at(-1)).toEqual([relay]);
    again.viewer.stop();
  });
});

describe("a viewer of an edge that is full", () => {
  test("plays from another one at once", async () => {
    full.add(EDGES[0]);
    const { viewer } = watch();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(asked).toEqual(["http://api/whep/1", `http://api/whep/1?avoid=${encodeURIComponent(EDGES[0])}`]);
    expect(peers.at(-1)).toMatchObject({ edge: EDGES[1], connectionState: "connected" });
    viewer.stop();
  });
});

describe("the studio", () => {
  test("publishes at another edge when the first one is full", async () => {
    full.add(EDGES[0]);
    const stream = { getTracks: () => [] } as unknown as MediaStream;
    const request = { url: "http://api/whip", streamKey: "k", stream, largest: SMALL, sendsSeveral: false };
    const publisher = new WhipPublisher(request);
    void publisher.start();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(publisher.state.get().phase).toBe("live");
    expect(peers.at(-1)?.edge).toBe(EDGES[1]);
    publisher.stop();
  });

  test("says at once that the browser has no WebRTC, and what to do", async () => {
    vi.stubGlobal("RTCPeerConnection", undefined);
    const stream = { getTracks: () => [] } as unknown as MediaStream;
    const request = { url: "http://api/whip", streamKey: "k", stream, largest: SMALL, sendsSeveral: false };
    const publisher = new WhipPublisher(request);
    await publisher.start();
    const { phase, error } = publisher.state.get();
    expect([phase, error?.code]).toEqual(["failed", "no_webrtc"]);
    expect(error?.message).toContain("Go live from another browser, or send from OBS");
    expect(asked).toEqual([]);
  });

  test("publishes again at another edge when its own is silent and answers no more", async () => {
    const stream = { getTracks: () => [] } as unknown as MediaStream;
    const request = { url: "http://api/whip", streamKey: "k", stream, largest: SMALL, sendsSeveral: false };
    const publisher = new WhipPublisher(request);
    void publisher.start();
    await vi.advanceTimersByTimeAsync(3_000);
    busy = true; // says nothing for a while, and answers
    await vi.advanceTimersByTimeAsync(2_500);
    busy = false;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(peers).toHaveLength(1);
    dead.add(EDGES[0]);
    await vi.advanceTimersByTimeAsync(1_500);
    expect(publisher.state.get().phase).toBe("live");
    expect(peers.map((peer) => peer.edge)).toEqual([EDGES[0], EDGES[1]]);
    publisher.stop();
  });

  test.each(["silence", "the room's word"])("does not push out who took over, and says so, by %s", async (hint) => {
    const stream = { getTracks: () => [] } as unknown as MediaStream;
    const request = { url: "http://api/whip", streamKey: "k", stream, largest: SMALL, sendsSeveral: false };
    const publisher = new WhipPublisher(request);
    void publisher.start();
    await vi.advanceTimersByTimeAsync(3_000);
    [isTaken, busy] = [true, true]; // nothing comes any more, and the edge answers
    // How long an edge that answers gets is told by a clock of the browser's own.
    if (hint === "silence") vi.spyOn(AbortSignal, "timeout").mockReturnValue(AbortSignal.abort());
    else void publisher.hurry();
    await vi.advanceTimersByTimeAsync(10_000);
    const { phase, error } = publisher.state.get();
    expect([phase, error?.code]).toEqual(["failed", "publisher_replaced"]);
    expect(peers).toHaveLength(1);
    vi.restoreAllMocks();
  });

  describe("whose session broke, and whose goodbye has no answer yet,", () => {
    let answer: (value: unknown) => void;
    let isApiMute: boolean;
    let publisher: WhipPublisher;
    let over: Promise<void>;

    beforeEach(async () => {
      isApiMute = false;
      vi.stubGlobal("fetch", (url: string, init: RequestInit = {}) => {
        if (init.method === "DELETE") return new Promise((resolve) => (answer = resolve));
        const played = playFetch(url, init);
        if (!isApiMute || init.method !== "POST") return played;
        return new Promise((_, reject) => init.signal?.addEventListener("abort", () => reject(new Error("aborted"))));
      });
      const stream = { getTracks: () => [] } as unknown as MediaStream;
      publisher = new WhipPublisher({ url: "http://api/whip", streamKey: "k", stream, largest: SMALL, sendsSeveral: false });
      over = publisher.start();
      await vi.advanceTimersByTimeAsync(1_000);
    });

    function breakOff(): void {
      Object.assign(peers[0] ?? {}, { connectionState: "failed" });
      peers[0]?.dispatchEvent(new Event("connectionstatechange"));
    }

    async function sayReplaced(): Promise<void> {
      isTaken = true;
      answer(await playFetch("http://edge-0/sessions/1", { method: "DELETE" }));
      await vi.advanceTimersByTimeAsync(0);
    }

    test("says so at once, and is back within a second", async () => {
      breakOff();
      await vi.advanceTimersByTimeAsync(0);
      expect(publisher.state.get().phase).toBe("reconnecting");
      await vi.advanceTimersByTimeAsync(1_000);
      expect(publisher.state.get().phase).toBe("live");
      expect(peers).toHaveLength(2);
      await sayReplaced(); // of a session before this one
      expect(publisher.state.get().phase).toBe("live");
      publisher.stop();
    });

    test("stays away when it comes while the way back is not found", async () => {
      isApiMute = true;
      breakOff();
      await vi.advanceTimersByTimeAsync(3_000);
      expect([publisher.state.get().phase, peers.length]).toEqual(["reconnecting", 2]);
      await sayReplaced();
      await over;
      const { phase, error } = publisher.state.get();
      expect([phase, error?.code]).toEqual(["failed", "publisher_replaced"]);
      expect(peers.map((peer) => peer.connectionState)).toEqual(["closed", "closed"]);
    });

    test("has ended as soon as it is stopped", async () => {
      publisher.stop();
      await over;
      expect([publisher.state.get().phase, peers.length]).toEqual(["ended", 1]);
    });

    test("ends when it is stopped meanwhile", async () => {
      breakOff();
      await vi.advanceTimersByTimeAsync(100);
      publisher.stop();
      await over;
      expect([publisher.state.get().phase, peers.length]).toEqual(["ended", 1]);
    });
  });

  test("tries again where the browser refuses a connection to who was on air", async () => {
    const stream = { getTracks: () => [] } as unknown as MediaStream;
    const request = { url: "http://api/whip", streamKey: "k", stream, largest: SMALL, sendsSeveral: false };
    const publisher = new WhipPublisher(request);
    void publisher.start();
    await vi.advanceTimersByTimeAsync(3_000);
    vi.stubGlobal("RTCPeerConnection", function refuse() {
      throw new Error("too many connections");
    });
    dead.add(EDGES[0]);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(publisher.state.get().phase).toBe("reconnecting");
    vi.stubGlobal("RTCPeerConnection", PlayedPeer);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(publisher.state.get().phase).toBe("live");
    publisher.stop();
  });

  test("sends another size in the session that it has, and in the next one", async () => {
    const camera = { kind: "video", getSettings: () => ({ width: 1280, height: 720 }) };
    const stream = { getTracks: () => [camera], getVideoTracks: () => [camera] } as unknown as MediaStream;
    const largest = { bitrateBps: 2_000_000, linesMax: 720 };
    const publisher = new WhipPublisher({ url: "http://api/whip", streamKey: "k", stream, largest, sendsSeveral: true });
    void publisher.start();
    await vi.advanceTimersByTimeAsync(1_000);
    const read = (peer?: PlayedPeer) =>
      peer?.senders[0]?.encodings.map(({ rid, scaleResolutionDownBy, maxBitrate }) => [
        rid,
        scaleResolutionDownBy,
        maxBitrate,
      ]);
    expect(read(peers[0])).toEqual([
      ["q", 4, 240_000],
      ["h", 2, 600_000],
      ["f", 1, 2_000_000],
    ]);
    void publisher.resize({ bitrateBps: 1_500_000, linesMax: 480 });
    await publisher.resize({ bitrateBps: 1_000_000, linesMax: 360 });
    expect(publisher.linesMin).toBe(720);
    expect(read(peers[0])).toEqual([
      ["q", 8, 120_000],
      ["h", 4, 300_000],
      ["f", 2, 1_000_000],
    ]);
    expect(peers).toHaveLength(1);
    dead.add(EDGES[0]);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(read(peers[1])).toEqual([
      ["h", 4, 300_000],
      ["f", 2, 1_000_000],
    ]);
    publisher.stop();
  });
});
