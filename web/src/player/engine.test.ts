/** What outlives a new beginning of a video, against an hls.js, a browser's own HLS and an element played here. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PlayerEngine } from "./engine";

type Handler = (event: string, told: unknown) => void;

interface PlayedHls {
  config: { startPosition: number; subtitlePreference?: { name: string } };
  handlers: Map<string, Handler>;
  levels: { width: number; height: number; bitrate: number }[];
  loadLevel: number;
  subtitleTrack: number;
  starts: number;
}

const played = vi.hoisted(() => ({ isSupported: true, all: [] as PlayedHls[] }));

vi.mock("hls.js", () => ({
  default: class {
    static Events = {
      MANIFEST_PARSED: "parsed",
      SUBTITLE_TRACKS_UPDATED: "subtitles",
      LEVEL_SWITCHED: "switched",
      FRAG_BUFFERED: "buffered",
      ERROR: "error",
    };
    static ErrorDetails = { KEY_SYSTEM_LICENSE_REQUEST_FAILED: "keys" };
    static ErrorTypes = { MEDIA_ERROR: "media", KEY_SYSTEM_ERROR: "key system", NETWORK_ERROR: "network" };
    static isSupported = () => played.isSupported;
    handlers = new Map<string, Handler>();
    levels: PlayedHls["levels"] = [];
    loadLevel = -1;
    subtitleTrack = -1;
    starts = 0;
    #video: PlayedVideo | null = null;
    constructor(readonly config: PlayedHls["config"]) {
      played.all.push(this);
    }
    set nextLevel(index: number) {
      this.loadLevel = index;
    }
    on = (event: string, handler: Handler) => this.handlers.set(event, handler);
    loadSource = () => undefined;
    attachMedia = (video: PlayedVideo) => void (this.#video = video).load();
    recoverMediaError = () => this.#video?.load();
    startLoad = () => void (this.starts += 1);
    destroy = () => undefined;
  },
}));

class PlayedTrack {
  kind = "subtitles";
  language = "";
  mode = "disabled";
  constructor(readonly label: string) {}
}

/** As far as HTML says what another source does to an element. */
class PlayedVideo extends EventTarget {
  currentTime = 0;
  duration = 100;
  readyState = 4;
  paused = true;
  ended = false;
  error: object | null = null;
  autoplay = false;
  playbackRate = 1;
  defaultPlaybackRate = 1;
  played = { length: 0 };
  loaded: string[] = [];
  textTracks = Object.assign(new EventTarget(), {
    list: [] as PlayedTrack[],
    [Symbol.iterator]() {
      return this.list[Symbol.iterator]();
    },
  });
  canPlayType = () => "maybe";
  removeAttribute = () => undefined;
  set src(address: string) {
    this.loaded.push(address);
    this.load();
  }
  load(): void {
    this.playbackRate = this.defaultPlaybackRate;
    this.error = null;
    this.paused = true;
    this.currentTime = this.readyState = 0;
    this.textTracks.list = [];
    this.textTracks.dispatchEvent(new Event("removetrack"));
  }
  play(): Promise<void> {
    this.paused = false;
    this.tell("play");
    return Promise.resolve();
  }
  pause(): void {
    this.paused = true;
    this.tell("pause");
  }
  /** As Chromium does, which then is paused. */
  fail(): void {
    this.error = {};
    this.paused = true;
    this.tell("error", "pause");
  }
  tell(...names: string[]): void {
    for (const name of names) this.dispatchEvent(new Event(name));
  }
  /** Its source is there, with languages to read along. */
  come(...languages: string[]): void {
    this.readyState = 4;
    this.textTracks.list = languages.map((label) => new PlayedTrack(label));
    this.tell("loadedmetadata");
    this.textTracks.dispatchEvent(new Event("addtrack"));
  }
  /** It plays up to a moment. */
  playTo(atS: number): void {
    this.currentTime = atS;
    this.played = { length: 1 };
    this.tell("timeupdate");
  }
}

const OLD = "http://edge:8001/t/old.grant/v/1/master.m3u8";
const FRESH = "http://edge:8001/t/new.grant/v/1/master.m3u8";

let video: PlayedVideo;
let engine: PlayerEngine;
let renewed: (string | null)[];

async function start(): Promise<void> {
  renewed = [];
  const renew = () => Promise.resolve(renewed.shift() ?? null);
  engine = new PlayerEngine(video as unknown as HTMLVideoElement, { source: OLD, renew, startS: 0 });
  await engine.load();
}

/** Lets everything run that only waits for itself. */
async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

beforeEach(() => {
  played.isSupported = true;
  played.all = [];
  video = new PlayedVideo();
  vi.useFakeTimers();
});
afterEach(() => {
  engine.destroy();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("by hls.js", () => {
  const latest = (): PlayedHls => played.all.at(-1) ?? expect.fail("no player was made");
  const tell = (event: string, told: unknown = {}) => latest().handlers.get(event)?.(event, told);

  function bring(...heights: number[]): void {
    latest().levels = heights.map((height) => ({ width: height * 2, height, bitrate: height * 1_000 }));
    tell("parsed");
  }

  async function begin(...heights: number[]): Promise<void> {
    await start();
    bring(...heights);
    video.readyState = 4;
  }

  test("the quality that was chosen is played on under its new place, once there are more", async () => {
    await begin(360, 480);
    engine.choose(1);
    engine.offerMore();
    await settle();
    expect(latest().loadLevel).toBe(-1);
    bring(240, 360, 480, 720);
    expect([latest().loadLevel, engine.state.get().chosen]).toEqual([2, 2]);
    engine.choose(-1);
    engine.offerMore();
    await settle();
    bring(240, 480);
    expect([latest().loadLevel, engine.state.get().chosen]).toEqual([-1, -1]);
  });

  test("a quality that is no longer there is chosen by itself, as the menu says", async () => {
    await begin(360, 480);
    engine.choose(1);
    engine.offerMore();
    await settle();
    bring(240, 360);
    expect([latest().loadLevel, engine.state.get().chosen]).toEqual([-1, -1]);
  });

  test("a right that ran out takes nobody's quality: hls.js chose by itself when it was refused", async () => {
    await begin(360, 480);
    engine.choose(1);
    latest().loadLevel = -1;
    renewed = [FRESH];
    tell("error", { fatal: true, type: "network", details: "fragment", response: { code: 403 } });
    await settle();
    expect([latest().loadLevel, latest().starts, played.all.length]).toEqual([1, 1, 1]);
  });

  test("the language that was chosen is read along under its new place", async () => {
    await begin(360);
    tell("subtitles", { subtitleTracks: [{ name: "English" }, { name: "Suomi" }] });
    engine.readAlong(1);
    expect(latest().config.subtitlePreference).toBeUndefined();
    engine.offerMore();
    await settle();
    expect(latest().config.subtitlePreference).toEqual({ name: "Suomi" });
    tell("subtitles", { subtitleTracks: [{ name: "Deutsch" }, { name: "English" }, { name: "Suomi" }] });
    expect([latest().subtitleTrack, engine.state.get().language]).toEqual([2, 2]);
  });

  test.each([
    ["there are more qualities", () => engine.offerMore()],
    ["the element is mended", () => tell("error", { fatal: true, type: "media", details: "decode" })],
  ])("it goes on as fast as before when %s", async (_, act) => {
    await begin(360);
    video.playbackRate = 1.5;
    act();
    await settle();
    expect(video.playbackRate).toBe(1.5);
  });

  test("it goes on where it was, playing or not, though it once began by itself", async () => {
    video.autoplay = true;
    await begin(360);
    await video.play();
    video.playTo(30);
    engine.offerMore();
    await settle();
    expect([latest().config.startPosition, video.paused]).toEqual([30, false]);
    video.readyState = 4;
    video.pause();
    video.currentTime = 40;
    engine.offerMore();
    await settle();
    expect([latest().config.startPosition, video.paused, video.autoplay]).toEqual([40, true, false]);
  });
});

describe("by the browser itself", () => {
  let status: number;
  let asked: string[];

  beforeEach(async () => {
    status = 403;
    asked = [];
    vi.stubGlobal("fetch", (address: string) => {
      asked.push(address);
      return status === 0 ? Promise.reject(new TypeError("offline")) : Promise.resolve(new Response("", { status }));
    });
    played.isSupported = false;
    await start();
    video.come("English", "Suomi");
    await video.play();
    video.playTo(30);
  });

  test("there is no choice of quality", () => {
    expect(video.loaded).toEqual([OLD]);
    expect(engine.state.get()).toMatchObject({ levels: [], chosen: -1, error: null });
  });

  test("a right that ran out is renewed: it plays on where it was, as fast, with the same captions", async () => {
    video.playbackRate = 2;
    engine.readAlong(1);
    renewed = [FRESH];
    video.fail();
    await settle();
    expect([asked, video.loaded]).toEqual([[OLD], [OLD, FRESH]]);
    expect([video.paused, video.playbackRate]).toEqual([false, 2]);
    video.come("Deutsch", "English", "Suomi");
    expect(video.currentTime).toBe(30);
    expect(video.textTracks.list.map(({ mode }) => mode)).toEqual(["disabled", "disabled", "showing"]);
    expect(engine.state.get()).toMatchObject({ language: 2, error: null });
    expect(engine.state.get().languages.map(({ label }) => label)).toEqual(["Deutsch", "English", "Suomi"]);
  });

  test("what failed when it was paused stays paused, where it was", async () => {
    video.pause();
    video.currentTime = 50;
    video.tell("timeupdate");
    Object.assign(video, { currentTime: 0, readyState: 0 }); // an element that failed may forget it
    renewed = [FRESH];
    video.fail();
    await settle();
    video.come();
    expect([video.paused, video.currentTime]).toEqual([true, 50]);
  });

  test("captions that the browser's own menu chose are kept, too", async () => {
    const [english] = video.textTracks.list;
    if (english) english.mode = "showing";
    video.textTracks.dispatchEvent(new Event("change"));
    expect(engine.state.get().language).toBe(0);
    renewed = [FRESH];
    video.fail();
    await settle();
    video.come("Suomi", "English");
    expect(engine.state.get().language).toBe(1);
  });

  test("where it stands still, its right is asked about; what is only slow is left alone", async () => {
    video.readyState = 2;
    video.tell("waiting", "stalled");
    status = 200;
    await vi.advanceTimersByTimeAsync(2_000);
    expect([asked.length, video.loaded]).toEqual([1, [OLD]]);
    status = 0;
    await vi.advanceTimersByTimeAsync(2_000);
    expect([asked.length, video.loaded]).toEqual([2, [OLD]]);
    [status, renewed] = [403, [FRESH]];
    await vi.advanceTimersByTimeAsync(2_000);
    expect(video.loaded).toEqual([OLD, FRESH]);
    video.come();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked.length).toBe(3);
  });

  test.each([
    ["it moves on", () => video.playTo(31)],
    ["it is paused", () => video.pause()],
  ])("nobody asks when %s meanwhile", async (_, act) => {
    video.readyState = 2;
    video.tell("waiting");
    act();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toEqual([]);
  });

  test.each([200, 404, 0])("what fails though its playlist is answered %i is said to have failed", async (code) => {
    status = code;
    video.fail();
    await settle();
    expect(engine.state.get().error).toBe("The video could not be loaded.");
    expect(video.loaded).toEqual([OLD]);
  });

  test("whoever may no longer watch is told so, and so is whom no fresh right helps", async () => {
    video.fail();
    await settle();
    expect(engine.state.get().error).toBe("You may no longer watch this video.");
    renewed = [FRESH, FRESH, FRESH, FRESH];
    for (let turn = 0; turn < 4; turn += 1) {
      video.fail();
      await settle();
    }
    expect(engine.state.get().error).toBe("The video could not be loaded.");
    expect(video.loaded).toHaveLength(3);
  });

  test("playing makes up for what was refused before", async () => {
    for (let turn = 0; turn < 5; turn += 1) {
      renewed = [FRESH];
      video.fail();
      await settle();
      video.come();
      video.playTo(30 + turn);
    }
    expect(engine.state.get().error).toBeNull();
    expect(video.loaded).toHaveLength(6);
  });

  test("two words of one refusal bring one fresh right", async () => {
    renewed = [FRESH, null];
    video.fail();
    video.tell("error");
    await settle();
    expect(video.loaded).toEqual([OLD, FRESH]);
    expect(renewed).toEqual([null]);
  });

  test("another edge, and more qualities, are loaded from where it was; a fresh right alone is not", async () => {
    engine.moveTo(FRESH);
    await settle();
    expect(video.loaded).toEqual([OLD]);
    const elsewhere = FRESH.replace("8001", "8002");
    engine.moveTo(elsewhere);
    await settle();
    expect(video.loaded).toEqual([OLD, elsewhere]);
    video.come();
    expect([video.currentTime, video.paused]).toEqual([30, false]);
    engine.offerMore();
    await settle();
    expect(video.loaded).toEqual([OLD, elsewhere, elsewhere]);
  });

  test("what has ended stays at its end until somebody plays it again", async () => {
    Object.assign(video, { currentTime: 100, ended: true });
    video.pause();
    engine.offerMore();
    await settle();
    expect(video.loaded).toEqual([OLD]);
    Object.assign(video, { currentTime: 0, ended: false });
    void video.play();
    video.tell("seeking");
    await settle();
    video.come();
    expect([video.loaded.length, video.currentTime, video.paused]).toEqual([2, 0, false]);
  });

  test("a player that is gone asks nobody", async () => {
    video.readyState = 2;
    video.tell("waiting");
    engine.destroy();
    video.tell("error", "waiting");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toEqual([]);
  });
});
