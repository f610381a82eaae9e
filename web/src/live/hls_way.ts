/**
 * A live by low-latency HLS in a <video>: hls.js where Media Source exists, the browser's own HLS
 * otherwise. Asks for a fresh address after failures, since the live may come in elsewhere by then.
 */
import type Hls from "hls.js";
import { waitMs } from "../kit/backoff";
import { Store } from "../kit/store";
import type { LevelMenu } from "./level_menu";

export interface HlsState {
  isPlaying: boolean;
  /** From the start of what can be sought to its live end; 0 before anything is known. */
  lengthS: number;
  behindS: number;
  /** How late the picture is: glass to glass when the clocks agree. */
  latencyS: number | null;
  /** Nothing that the live is offered in can be decoded here. */
  isUnplayable: boolean;
  /** The live is sent in a codec that HLS does not carry. */
  isOff: boolean;
}

const AT_REST: HlsState = { isPlaying: false, lengthS: 0, behindS: 0, latencyS: null, isUnplayable: false, isOff: false };
const RETRY_MS = 1_500;
/** Until it is asked whether the live comes in another codec now. */
const OFF_RETRY_MS = 10_000;
const OFF_STATUS = 409;
const MEASURE_MS = 500;
const HAVE_CURRENT_DATA = 2;
/** Who watches live and fell behind further than this, by a stall, is taken to the live end again. */
export const LATE_MAX_S = 8;
/** Who is a little behind the live end is brought back to it by playing so much faster at most. */
const CATCH_UP_RATE = 1.25;
/** What is loaded after such a jump gets this long to play. */
const JUMP_EVERY_MS = 10_000;
const AUTH_STATUSES = [401, 403];

export class HlsWay {
  readonly state = new Store<HlsState>(AT_REST);
  readonly #video: HTMLVideoElement;
  readonly #address: (avoid: string | null) => Promise<string | null>;
  readonly #menu: LevelMenu;
  readonly #gone = new AbortController();
  #hls: Hls | null = null;
  /** Where to go once something is loaded; null: to the live end. */
  #wantedBehindS: number | null = null;
  /** Nobody asked for anything but the live end. */
  #isLive = true;
  /** Something is shown: hls.js goes to the live end by itself until then, whatever was wished for. */
  #hasBegun = false;
  #isUnplayable = false;
  #isHeld = false;
  #jumpedMs = Number.NEGATIVE_INFINITY;
  /** What whoever is not at the live end was shown last, by the programme's clock. */
  #shownAt: Date | null = null;
  /** Where a player that was made anew goes on. */
  #wantedAt: Date | null = null;

  /** `address` asks where the live is played now, not at an edge that just failed. */
  constructor(
    video: HTMLVideoElement,
    address: (avoid: string | null) => Promise<string | null>,
    menu: LevelMenu,
  ) {
    this.#video = video;
    this.#address = address;
    this.#menu = menu;
  }

  async start(behindS: number | null): Promise<void> {
    this.#wantedBehindS = behindS;
    this.#follow(!behindS);
    const { default: HlsClass } = await import("hls.js");
    void this.#measure();
    let failed: string | null = null;
    while (!this.#gone.signal.aborted) {
      const address: string | null = await this.#address(failed).catch(() => null);
      if (this.#gone.signal.aborted) return;
      if (address) {
        if (HlsClass.isSupported()) await this.#play(HlsClass, address);
        else if (!(await this.#isRefused(address))) return this.#playNatively(address);
        failed = this.state.get().isOff ? null : new URL(address).origin;
      }
      await waitMs(this.state.get().isOff ? OFF_RETRY_MS : RETRY_MS, this.#gone.signal);
    }
  }

  /** Plays until a failure that asking again may mend. */
  #play(HlsClass: typeof Hls, address: string): Promise<void> {
    return new Promise((resolve) => {
      this.#hls?.destroy();
      if (this.#wantedBehindS === null) this.#wantedAt = this.#shownAt;
      const hls = new HlsClass({
        lowLatencyMode: true,
        backBufferLength: 60,
        maxLiveSyncPlaybackRate: this.#isLive ? CATCH_UP_RATE : 1,
        liveDurationInfinity: true,
        // A part is loaded in a sixth of its length at most: its measure counts for as little. With
        // hls.js' own 3 s and 9 s another size would come a minute after the connection changed.
        abrEwmaFastLive: 0.5,
        abrEwmaSlowLive: 1.5,
      });
      this.#hls = hls;
      this.#hasBegun = false;
      let mediaErrors = 0;
      hls.on(HlsClass.Events.MANIFEST_PARSED, () => {
        this.#isUnplayable = false;
        this.state.set({ ...this.state.get(), isOff: false });
        this.#menu.follow(hls);
      });
      hls.on(HlsClass.Events.LEVEL_SWITCHED, (_, { level }) => this.#menu.notePlaying(level));
      hls.on(HlsClass.Events.FRAG_BUFFERED, () => {
        this.#hasBegun ||= this.#video.readyState >= HAVE_CURRENT_DATA;
        this.#seekWanted();
        this.#playOn();
      });
      hls.on(HlsClass.Events.ERROR, (_, failure) => {
        const isOver = failure.details === HlsClass.ErrorDetails.LEVEL_LOAD_ERROR && failure.response?.code === 404;
        if (isOver) this.#menu.noteOver();
        if (!failure.fatal) return;
        if (failure.response?.code === OFF_STATUS) {
          this.state.set({ ...this.state.get(), isOff: true });
          resolve();
          return;
        }
        if (failure.details === HlsClass.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) {
          this.#isUnplayable = true;
          this.state.set({ ...this.state.get(), isUnplayable: true });
          resolve(); // asked again: the publisher may come back with another codec
          return;
        }
        const isAuth = AUTH_STATUSES.includes(failure.response?.code ?? 0);
        if (failure.type === HlsClass.ErrorTypes.MEDIA_ERROR && mediaErrors++ < 2 && !isAuth) {
          hls.recoverMediaError();
        } else resolve();
      });
      this.#gone.signal.addEventListener("abort", () => resolve());
      hls.loadSource(address);
      hls.attachMedia(this.#video);
    });
  }

  /** Whether the edge says that there is no HLS of this live: a video element keeps that to itself. */
  async #isRefused(address: string): Promise<boolean> {
    const answer = await fetch(address, { signal: this.#gone.signal }).catch(() => null);
    const isOff = answer?.status === OFF_STATUS;
    this.state.set({ ...this.state.get(), isOff });
    return isOff;
  }

  #playNatively(address: string): void {
    this.#video.srcObject = null;
    this.#video.src = address;
    const begin = () => {
      this.#hasBegun = true;
      this.#seekWanted();
    };
    this.#video.addEventListener("loadedmetadata", begin, { once: true });
    this.#playOn();
  }

  /** With sound; where the browser first wants a gesture, without. Somebody's pause refuses it, too, and stays. */
  #playOn(): void {
    if (this.#isHeld) return;
    this.#video.play().catch((error: unknown) => {
      if (error instanceof DOMException && error.name === "NotAllowedError") this.#playMuted();
    });
  }

  #playMuted(): void {
    if (this.#gone.signal.aborted || this.#isHeld || !this.#video.paused) return;
    this.#video.muted = true;
    void this.#video.play().catch(() => undefined);
  }

  /** Stands still until `resume`, whatever arrives meanwhile. */
  pause(): void {
    this.#isHeld = true;
    this.#video.pause();
  }

  resume(): void {
    this.#isHeld = false;
    this.#playOn();
  }

  #seekWanted(): void {
    if (!this.#hasBegun) return;
    const { currentTime } = this.#video;
    const [wantedAt, shownAt] = [this.#wantedAt, this.#hls?.playingDate];
    if (wantedAt && shownAt) this.#go(currentTime + (wantedAt.getTime() - shownAt.getTime()) / 1000);
    this.#wantedAt = null;
    if (this.#wantedBehindS === null) return;
    const behindS = this.#wantedBehindS;
    this.#wantedBehindS = null;
    this.seekBehind(behindS);
  }

  /** Whoever went back stays as far behind; only who watches live is brought up to it. */
  #follow(isLive: boolean): void {
    this.#isLive = isLive;
    this.#shownAt = this.#wantedAt = null;
    if (!this.#hls) return;
    this.#hls.config.maxLiveSyncPlaybackRate = isLive ? CATCH_UP_RATE : 1;
    if (!isLive) this.#video.playbackRate = 1;
  }

  /** Moves within what there is. */
  #go(toS: number): void {
    const range = this.#range();
    if (!range) return;
    this.#menu.noteBehind(range.endS - toS);
    const liveS = this.#hls?.liveSyncPosition ?? range.endS;
    this.#video.currentTime = Math.max(range.startS, Math.min(liveS, toS));
    this.#read();
  }

  #range(): { startS: number; endS: number } | null {
    const details = this.#hls?.latestLevelDetails;
    if (details) {
      // The source reaches back to the live's start, smaller pictures a minute.
      const starts = this.#hls!.levels.map((level) => level.details?.fragmentStart ?? details.fragmentStart);
      return { startS: Math.min(details.fragmentStart, ...starts), endS: details.edge };
    }
    const { seekable } = this.#video;
    if (seekable.length === 0) return null;
    return { startS: seekable.start(0), endS: seekable.end(seekable.length - 1) };
  }

  /** Goes to so many seconds before the live end; Infinity is the start. */
  seekBehind(behindS: number): void {
    this.#follow(behindS <= 0);
    const range = this.#hasBegun ? this.#range() : null;
    // What was wished for before, and waits for the first part, is not wished for any more.
    this.#wantedBehindS = range ? null : behindS;
    if (range) this.#go(range.endS - behindS);
  }

  async #measure(): Promise<void> {
    while (!this.#gone.signal.aborted) {
      this.#read();
      this.#keepUp();
      await waitMs(MEASURE_MS, this.#gone.signal);
    }
  }

  /** Playing faster makes up for a second or two; after a longer stall it would take minutes. */
  #keepUp(): void {
    if (!this.#isLive || this.#video.paused || this.#video.seeking) return;
    if (this.state.get().behindS <= LATE_MAX_S || performance.now() - this.#jumpedMs < JUMP_EVERY_MS) return;
    this.#jumpedMs = performance.now();
    this.seekBehind(0);
  }

  #read(): void {
    const range = this.#range();
    if (!range) return;
    this.#menu.noteBehind(range.endS - this.#video.currentTime);
    const shownAt = this.#hls?.playingDate;
    if (shownAt && !this.#isLive && this.#wantedAt === null) this.#shownAt = shownAt;
    this.state.set({
      ...this.state.get(),
      isPlaying: !this.#video.paused && this.#video.readyState >= 2,
      lengthS: range.endS - range.startS,
      behindS: Math.max(0, range.endS - this.#video.currentTime),
      latencyS: shownAt ? Math.max(0, (Date.now() - shownAt.getTime()) / 1000) : null,
      isUnplayable: this.#isUnplayable,
    });
  }

  stop(): void {
    this.#gone.abort();
    this.#hls?.destroy();
    this.#hls = null;
    this.#video.removeAttribute("src");
  }
}
