/**
 * HLS as a browser plays it by itself, where there is no Media Source: older iPhones. Such a player names no answer
 * that it got: when it fails or stands still, the playlist is asked for under the right that it has. The engine
 * owns one, and decides what follows. Knows nothing of hls.js or of grants.
 */
const TYPE = "application/vnd.apple.mpegurl";
/** It stands still for so long before anybody asks why, and between two questions. */
const STILL_MS = 2_000;
const REFUSED = [401, 403, 410];
const STOPS = ["waiting", "stalled"] as const;

export interface NativeEars {
  onPlays: () => void;
  /** The right to watch is over. */
  onRefused: () => void;
  onFailed: () => void;
  /** What can be read along, and which of it is; -1 is none. */
  onLanguages: (names: string[], shown: number) => void;
}

export class NativeHls {
  readonly #video: HTMLVideoElement;
  readonly #ears: NativeEars;
  readonly #stop = new AbortController();
  #source = "";
  #placeS = 0;
  #isWanted: boolean;
  /** What is read along, by its name; null is nothing, undefined as the browser likes. */
  #language: string | null | undefined = undefined;
  #isLoading = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  static isSupported(video: HTMLVideoElement): boolean {
    return video.canPlayType(TYPE) !== "";
  }

  constructor(video: HTMLVideoElement, ears: NativeEars) {
    this.#video = video;
    this.#ears = ears;
    this.#isWanted = !video.paused;
    const { signal } = this.#stop;
    video.addEventListener("loadedmetadata", () => this.#begin(), { signal });
    video.addEventListener("play", () => this.#noteWish(), { signal });
    video.addEventListener("pause", () => this.#noteWish(), { signal });
    video.addEventListener("timeupdate", () => this.#notePlace(), { signal });
    video.addEventListener("error", () => void this.#askWhy(this.#source, true), { signal });
    for (const name of STOPS) video.addEventListener(name, () => this.#watchStill(), { signal });
    const tracks = video.textTracks;
    tracks.addEventListener("addtrack", () => this.#showLanguage(), { signal });
    tracks.addEventListener("removetrack", () => this.#tellLanguages(), { signal });
    // Also by the browser's own menu, on a full screen.
    tracks.addEventListener("change", () => this.#noteLanguage(), { signal });
  }

  /** Where it is, or goes on once it is loaded: an element that failed no longer says it. */
  get placeS(): number {
    return this.#placeS;
  }

  /** Whether somebody wants it to play: an element that failed may have paused by itself. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** Plays another address from a moment on, in seconds; whether it plays is up to the element. */
  load(source: string, startS: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#source = source;
    this.#placeS = startS;
    this.#isLoading = true;
    this.#video.src = source;
  }

  #begin(): void {
    this.#isLoading = false;
    if (this.#placeS > 0) this.#video.currentTime = this.#placeS;
    this.#showLanguage();
  }

  #noteWish(): void {
    if (this.#video.error === null) this.#isWanted = !this.#video.paused;
  }

  #notePlace(): void {
    const { currentTime, paused, readyState } = this.#video;
    if (this.#isLoading || readyState === 0) return;
    if (!paused && currentTime > this.#placeS) this.#ears.onPlays();
    this.#placeS = currentTime;
  }

  /** Shows captions by their name; null shows none. */
  readAlong(language: string | null): void {
    this.#language = language;
    this.#showLanguage();
  }

  #listTracks(): TextTrack[] {
    return [...this.#video.textTracks].filter(({ kind }) => kind === "subtitles" || kind === "captions");
  }

  #showLanguage(): void {
    if (this.#language !== undefined) {
      for (const track of this.#listTracks()) {
        const mode = nameTrack(track) === this.#language ? "showing" : "disabled";
        if (track.mode !== mode) track.mode = mode;
      }
    }
    this.#tellLanguages();
  }

  #noteLanguage(): void {
    if (this.#isLoading) return; // what goes and comes with an address is nobody's choice
    const shown = this.#listTracks().find(({ mode }) => mode === "showing");
    this.#language = shown ? nameTrack(shown) : null;
    this.#tellLanguages();
  }

  #tellLanguages(): void {
    if (this.#isLoading) return;
    const tracks = this.#listTracks();
    this.#ears.onLanguages(
      tracks.map(nameTrack),
      tracks.findIndex(({ mode }) => mode === "showing"),
    );
  }

  #watchStill(): void {
    if (this.#timer !== undefined) return;
    const { currentTime } = this.#video;
    const source = this.#source;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#isStill(currentTime)) void this.#askWhy(source, false);
    }, STILL_MS);
  }

  #isStill(atS: number): boolean {
    const { paused, ended, error, currentTime } = this.#video;
    // Where the browser refuses to play, it waits for somebody, and not for bytes.
    return this.#isWanted && (!paused || error !== null) && !ended && currentTime === atS;
  }

  /** What is slow goes on by itself, or stands still until it is asked again; what failed does not. */
  async #askWhy(source: string, hasFailed: boolean): Promise<void> {
    const { signal } = this.#stop;
    const status = await fetch(source, { signal, cache: "no-store" }).then(
      (answer) => answer.status,
      () => 0,
    );
    if (signal.aborted || source !== this.#source) return;
    if (REFUSED.includes(status)) this.#ears.onRefused();
    else if (hasFailed) this.#ears.onFailed();
    else this.#watchStill();
  }

  destroy(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
    this.#video.removeAttribute("src");
    this.#video.load();
  }
}

function nameTrack({ label, language }: TextTrack): string {
  return label || language;
}
