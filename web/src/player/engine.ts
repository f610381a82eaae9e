/**
 * Puts an HLS address into a <video>: hls.js where Media Source exists, the browser's own HLS
 * otherwise. hls.js is a chunk of its own, loaded with the first player. Renews playback grants in
 * segment addresses, and asks for the keys of protected videos under the same right. What somebody
 * chose outlives every new beginning. Knows nothing of controls.
 */
import type Hls from "hls.js";
import { Store } from "../kit/store";
import { findKeys, rewriteGrant } from "./grant";
import { NativeHls } from "./native_hls";
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
  #native: NativeHls | null = null;
  /** What somebody chose, by its name: places in a list are others in the next. */
  #size: string | null = null;
  #language: string | null = null;
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
    const wasPlaying = this.#native?.isWanted ?? !this.#video.paused;
    this.#startS = this.#video.readyState > 0 ? findPlace(this.#video) : (this.#native?.placeS ?? this.#startS);
    if (this.#video.played.length > 0) this.#video.autoplay = false;
    this.#keepSpeed();
    if (HlsClass.isSupported()) this.#loadByScript(HlsClass);
    else this.#loadNative();
    if (wasPlaying) void this.#video.play().catch(() => undefined);
  }

  #loadByScript(HlsClass: typeof Hls): void {
    this.#hls?.destroy();
    const hls = new HlsClass({
      startPosition: this.#startS,
      capLevelToPlayerSize: true,
      maxBufferLength: 30,
      backBufferLength: 60,
      ...(this.#language === null ? {} : { subtitlePreference: { name: this.#language } }),
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
  }

  #loadNative(): void {
    if (!NativeHls.isSupported(this.#video)) return this.#fail("This browser cannot play this kind of video.");
    this.#native ??= new NativeHls(this.#video, {
      onPlays: () => {
        this.#recoveries = 0;
      },
      onRefused: () => void this.#renewNative(),
      onFailed: () => this.#fail("The video could not be loaded."),
      onLanguages: (names, shown) => {
        this.#language = names[shown] ?? null;
        this.#change({ languages: names.map((label, index) => ({ index, label })), language: shown });
      },
    });
    this.#native.load(this.#source, this.#startS);
  }

  async #renewNative(): Promise<void> {
    if (this.#asksAgain) return;
    if (this.#recoveries++ >= RECOVERIES_MAX) return this.#fail("The video could not be loaded.");
    this.#asksAgain = true;
    const mayGoOn = await this.#renewSource();
    this.#asksAgain = false;
    if (mayGoOn) this.offerMore();
  }

  /** Another source plays at the default speed, says HTML's load algorithm. */
  #keepSpeed(): void {
    this.#video.defaultPlaybackRate = this.#video.playbackRate;
  }

  #listen(hls: Hls, { Events, ErrorDetails, ErrorTypes }: typeof Hls): void {
    let shown = new Map<number, number>();
    hls.on(Events.MANIFEST_PARSED, () => {
      const offer = offerLevels(hls.levels);
      shown = offer.shown;
      const chosen = findNamed(offer.levels, this.#size);
      this.#change({ levels: offer.levels, chosen, error: null });
      if (chosen !== -1) hls.loadLevel = chosen;
    });
    hls.on(Events.SUBTITLE_TRACKS_UPDATED, (_, { subtitleTracks }) => {
      const languages = subtitleTracks.map(({ name }, index) => ({ index, label: name }));
      const language = findNamed(languages, this.#language);
      this.#change({ languages, language });
      hls.subtitleTrack = language;
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
      else if (failure.type === ErrorTypes.MEDIA_ERROR) this.#recoverMedia(hls);
      else if (status === 401 || status === 403 || status === 410) void this.#renewGrant(hls);
      else if (status === 404) this.#fail("The video is no longer there.");
      else setTimeout(() => !this.#isGone && this.#resume(hls), 1_000 * this.#recoveries);
    });
  }

  #recoverMedia(hls: Hls): void {
    this.#keepSpeed();
    hls.recoverMediaError();
  }

  #resume(hls: Hls): void {
    if (hls.levels.length === 0) return hls.loadSource(this.#source);
    const { chosen } = this.state.get();
    if (chosen !== -1) hls.loadLevel = chosen; // after an error hls.js chooses by itself
    hls.startLoad();
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
    if (!this.#hls && !this.#native) return;
    if (this.#video.ended) this.#video.addEventListener("seeking", () => this.offerMore(), { once: true });
    else void this.load();
  }

  /** Shows a language's captions; -1 shows none. */
  readAlong(index: number): void {
    this.#language = this.state.get().languages.find((language) => language.index === index)?.label ?? null;
    if (this.#hls) this.#hls.subtitleTrack = index;
    this.#native?.readAlong(this.#language);
    this.#change({ language: index });
  }

  /** Plays a quality; -1 chooses by itself. */
  choose(index: number): void {
    this.#size = this.state.get().levels.find((level) => level.index === index)?.label ?? null;
    if (this.#hls) this.#hls.nextLevel = index;
    this.#change({ chosen: index });
  }

  destroy(): void {
    this.#isGone = true;
    this.#hls?.destroy();
    this.#hls = null;
    this.#native?.destroy();
    this.#native = null;
  }
}

/** Where it is in a menu; -1 where it is not. */
function findNamed(menu: readonly QualityLevel[], name: string | null): number {
  return menu.find(({ label }) => label === name)?.index ?? -1;
}
