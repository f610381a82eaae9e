/**
 * Puts an HLS address into a <video>: hls.js where Media Source exists, the browser's own HLS
 * otherwise. hls.js is a chunk of its own, loaded with the first player. Renews playback grants in
 * segment addresses, and asks for the keys of protected videos under the same right. Knows nothing
 * of controls.
 */
import type Hls from "hls.js";
import { Store } from "../kit/store";
import { findKeys, rewriteGrant } from "./grant";
import { findPlace } from "./places";
import { offerLevels, type QualityLevel } from "./quality";

export interface EngineState {
  levels: QualityLevel[];
  /** What can be read along, and which of it is; -1 is none. */
  languages: QualityLevel[];
  language: number;
  /** -1 chooses by itself. */
  chosen: number;
  playing: number;
  error: string | null;
}

export interface EngineOptions {
  source: string;
  /** Gives a fresh address of the same video when the right to watch ran out. */
  renew: (() => Promise<string | null>) | null;
  /** Where to begin. */
  startS: number;
}

const RECOVERIES_MAX = 3;
const CLEARKEY = "org.w3.clearkey";
export const AT_REST: EngineState = {
  levels: [],
  languages: [],
  language: -1,
  chosen: -1,
  playing: -1,
  error: null,
};

/** Starts loading hls.js while the page still asks the API for the address. */
export function preloadEngine(): void {
  void import("hls.js").catch(() => undefined);
}

export class PlayerEngine {
  readonly state = new Store<EngineState>(AT_REST);
  readonly #video: HTMLVideoElement;
  readonly #renew: (() => Promise<string | null>) | null;
  #source: string;
  #hls: Hls | null = null;
  #recoveries = 0;
  #isGone = false;
  #asksAgain = false;
  /** Where a reload goes on, in seconds. */
  #startS = -1;

  constructor(video: HTMLVideoElement, { source, renew, startS }: EngineOptions) {
    this.#video = video;
    this.#source = source;
    this.#renew = renew;
    if (startS > 0) this.#startS = startS;
  }

  async load(): Promise<void> {
    const { default: HlsClass } = await import("hls.js");
    if (this.#isGone) return;
    // Another source resets the element, which goes on as it stood.
    const wasPlaying = !this.#video.paused;
    if (this.#video.readyState > 0) this.#startS = findPlace(this.#video);
    if (!HlsClass.isSupported()) return this.#loadNative();
    this.#hls?.destroy();
    const hls = new HlsClass({
      startPosition: this.#startS,
      capLevelToPlayerSize: true,
      maxBufferLength: 30,
      backBufferLength: 60,
      xhrSetup: (xhr, url) => {
        const fresh = rewriteGrant(url, this.#source);
        if (fresh !== url) xhr.open("GET", fresh, true);
      },
      emeEnabled: true,
      drmSystems: { [CLEARKEY]: { licenseUrl: findKeys(this.#source) } },
      licenseXhrSetup: (xhr) => xhr.open("POST", findKeys(this.#source), true),
    });
    this.#hls = hls;
    this.#listen(hls, HlsClass);
    hls.loadSource(this.#source);
    hls.attachMedia(this.#video);
    if (wasPlaying) void this.#video.play().catch(() => undefined);
  }

  #loadNative(): void {
    if (this.#video.canPlayType("application/vnd.apple.mpegurl") === "") {
      this.#fail("This browser cannot play this kind of video.");
      return;
    }
    this.#video.src = this.#source;
    const startS = this.#startS;
    if (startS > 0) {
      this.#video.addEventListener("loadedmetadata", () => (this.#video.currentTime = startS), { once: true });
    }
    this.#video.addEventListener("error", () => this.#fail("The video could not be loaded."), { once: true });
  }

  #listen(hls: Hls, { Events, ErrorDetails, ErrorTypes }: typeof Hls): void {
    let shown = new Map<number, number>();
    hls.on(Events.MANIFEST_PARSED, () => {
      const offer = offerLevels(hls.levels);
      shown = offer.shown;
      this.#change({ levels: offer.levels, error: null });
    });
    hls.on(Events.SUBTITLE_TRACKS_UPDATED, (_, { subtitleTracks }) => {
      this.#change({ languages: subtitleTracks.map(({ name }, index) => ({ index, label: name })) });
      hls.subtitleTrack = this.state.get().language;
    });
    hls.on(Events.LEVEL_SWITCHED, (_, { level }) => this.#change({ playing: shown.get(level) ?? level }));
    hls.on(Events.FRAG_BUFFERED, () => {
      this.#recoveries = 0;
    });
    hls.on(Events.ERROR, (_, failure) => {
      if (!failure.fatal) return;
      if (this.#recoveries++ >= RECOVERIES_MAX) return this.#fail("The video could not be loaded.");
      const status = failure.response?.code ?? 0;
      if (failure.details === ErrorDetails.KEY_SYSTEM_LICENSE_REQUEST_FAILED) void this.#askKeysAgain(status);
      else if (failure.type === ErrorTypes.KEY_SYSTEM_ERROR) this.#fail("This browser cannot play protected videos.");
      else if (failure.type === ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
      else if (status === 401 || status === 403 || status === 410) void this.#renewGrant(hls);
      else if (status === 404) this.#fail("The video is no longer there.");
      else setTimeout(() => !this.#isGone && this.#resume(hls), 1_000 * this.#recoveries);
    });
  }

  #resume(hls: Hls): void {
    if (hls.levels.length === 0) hls.loadSource(this.#source);
    else hls.startLoad();
  }

  async #renewGrant(hls: Hls): Promise<void> {
    if (await this.#renewSource()) this.#resume(hls);
  }

  /** Loads anew from where it stood: hls.js keeps a session whose request for keys was refused. */
  async #askKeysAgain(status: number): Promise<void> {
    if (this.#asksAgain) return; // picture and sound tell of the same refusal
    this.#asksAgain = true;
    this.#hls?.stopLoad(); // it would ask again by itself, under the right that was refused
    const isRefused = status === 401 || status === 403 || status === 410;
    if (!isRefused) await new Promise((resolve) => setTimeout(resolve, 1_000 * this.#recoveries));
    const mayGoOn = !isRefused || (await this.#renewSource());
    this.#asksAgain = false;
    if (mayGoOn && !this.#isGone) this.offerMore();
  }

  /** Whether there is a fresh address; says so when there is none. */
  async #renewSource(): Promise<boolean> {
    const fresh = await this.#renew?.().catch(() => null);
    if (this.#isGone) return false;
    if (!fresh) this.#fail("You may no longer watch this video.");
    else this.#source = fresh;
    return Boolean(fresh);
  }

  #fail(error: string): void {
    this.#change({ error });
  }

  #change(part: Partial<EngineState>): void {
    this.state.set({ ...this.state.get(), ...part });
  }

  /** Starts again from the beginning of loading, keeping the position. */
  retry(): void {
    this.#recoveries = 0;
    this.#change({ error: null });
    void this.load();
  }

  /** The video is at another address now, or at the same one under a fresh right. */
  moveTo(source: string): void {
    const isElsewhere = rewriteGrant(this.#source, source) !== source;
    this.#source = source;
    if (isElsewhere) this.offerMore();
  }

  /**
   * Reads the list of qualities anew, because more have been made; goes on at the same moment. What
   * has ended stays at its end, until somebody plays it again.
   */
  offerMore(): void {
    if (!this.#hls) return;
    if (this.#video.ended) this.#video.addEventListener("seeking", () => this.offerMore(), { once: true });
    else void this.load();
  }

  /** Shows a language's captions; -1 shows none. */
  readAlong(index: number): void {
    if (this.#hls) this.#hls.subtitleTrack = index;
    this.#change({ language: index });
  }

  choose(index: number): void {
    if (this.#hls) this.#hls.nextLevel = index;
    this.#change({ chosen: index });
  }

  destroy(): void {
    this.#isGone = true;
    this.#hls?.destroy();
    this.#hls = null;
  }
}
