/**
 * The picture of a live: WebRTC first, HLS by itself where that fails, and back; HLS for who seeks
 * back. Keeps one <video> fed; `ways.ts` decides, `whep.ts` and `hls_way.ts` bring the picture.
 */
import { waitMs } from "../kit/backoff";
import { ApiError } from "../kit/errors";
import { Store } from "../kit/store";
import { NOT_FOR_WEBRTC, WhepViewer, type PictureCounts, type WatchState } from "../kit/whep";
import { Freezes } from "./freezes";
import { HlsWay } from "./hls_way";
import { LayerMenu } from "./layer_menu";
import { LevelMenu } from "./level_menu";
import { Rests } from "./rests";
import { decideWay, isNoHelp, isResting, isSuffering, PATIENCE_MS, type Way } from "./ways";

export interface PlayerState {
  way: Way;
  phase: WatchState["phase"];
  error: ApiError | null;
  isPaused: boolean;
  /** From the live's start to its present end; 0 while unknown. */
  lengthS: number;
  behindS: number;
  latencyS: number | null;
  /** The browser played without sound because nobody has clicked yet. */
  needsSound: boolean;
  /** False once HLS is known to be off: there is nothing to go back to. */
  canGoBack: boolean;
}

export interface PlayerRequest {
  video: HTMLVideoElement;
  whep: string;
  token: () => Promise<string | null>;
  /** Where the live is played by HLS now; null when it is not. */
  hls: (avoid: string | null) => Promise<string | null>;
  /** How long the live has been on air, in seconds. */
  elapsedS: () => number;
  /** Whether the page is visible: a picture that nobody sees is not always drawn. */
  isSeen: () => boolean;
}

const LOOK_MS = 500;
const GONE_STATUSES = new Set([403, 404, 410]);
const LOSSES_KEPT = 10;
const HLS_OFF = new ApiError(
  "hls_off",
  0,
  "This live can be watched by WebRTC alone, and that does not work here. Another browser or another network may show it.",
);
const UNPLAYABLE = new ApiError("codec_unplayable", 0, "This browser cannot play the codec of this live.");

export class LivePlayer {
  readonly state: Store<PlayerState>;
  readonly layers = new LayerMenu();
  /** The same by HLS. */
  readonly levels = new LevelMenu();
  readonly #request: PlayerRequest;
  readonly #stopping = new AbortController();
  #viewer: WhepViewer | null = null;
  #unfollow: () => void = () => undefined;
  #stream: MediaStream | null = null;
  #hls: HlsWay | null = null;
  #isOnAir = false;
  #isBehind = false;
  /** The picture stops once HLS has one: to stand still is to go on from there later. */
  #stopsSoon = false;
  #withoutSinceMs: number | null = null;
  #lossesMs: number[] = [];
  readonly #freezes = new Freezes();
  readonly #rests = new Rests();
  #wasHelped = false;
  /** HLS was no help here: who suffers stays with WebRTC. */
  #isHelpless = false;
  #isClosed = false;

  constructor(request: PlayerRequest) {
    this.#request = request;
    this.state = new Store<PlayerState>({
      way: "webrtc",
      phase: "waiting",
      error: null,
      isPaused: false,
      lengthS: 0,
      behindS: 0,
      latencyS: null,
      needsSound: false,
      canGoBack: true,
    });
    this.#openViewer();
  }

  async start(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#look();
      void this.#watchFreezes();
      await waitMs(LOOK_MS, this.#stopping.signal);
    }
  }

  /** The socket broke off: the edge behind both may be dead. */
  doubt(): void {
    this.#viewer?.doubt();
  }

  /** What the room says. */
  setLive(isLive: boolean): void {
    this.#isOnAir = isLive;
    this.#viewer?.setLive(isLive);
    if (isLive) return;
    this.#withoutSinceMs = null;
    this.#change({ canGoBack: true }); // the next publisher may send another codec
  }

  stop(): void {
    this.#stopping.abort();
    this.#unfollow();
    this.#viewer?.stop();
    this.layers.follow(null);
    this.#hls?.stop();
  }

  /** What came of the picture by the present connection; null where there is nothing to count. */
  async readCounts(): Promise<PictureCounts | null> {
    return this.state.get().way === "webrtc" ? ((await this.#viewer?.readCounts()) ?? null) : null;
  }

  /** Goes to so many seconds before the live end; 0 is live again, Infinity the start. */
  seekBehind(behindS: number): void {
    if (behindS <= 0) return this.goLive();
    if (!this.state.get().canGoBack) return;
    this.#fallBehind();
    if (this.#hls) this.#hls.seekBehind(behindS);
    else this.#switch("hls", behindS);
    this.#change({ behindS: Math.min(behindS, this.state.get().lengthS) });
  }

  goLive(): void {
    this.#stopsSoon = false;
    this.#catchUp();
    this.#hls?.seekBehind(0);
    this.#hls?.resume();
    void this.#request.video.play().catch(() => undefined);
    this.#look();
  }

  /** Stopping the picture of a live means to go on from there later: HLS alone can. */
  togglePause(): void {
    const { video } = this.#request;
    if (video.paused || this.#stopsSoon) {
      this.#stopsSoon = false;
      if (this.#hls) this.#hls.resume();
      else void video.play().catch(() => undefined);
      return;
    }
    if (!this.state.get().canGoBack) return video.pause();
    this.#fallBehind();
    if (this.#hls) this.#hls.pause();
    else {
      const behindS = Math.max(1, this.state.get().behindS);
      this.#switch("hls", behindS);
      this.#change({ behindS });
      this.#stopsSoon = true;
      video.addEventListener("playing", () => this.#stopNow(), { once: true });
    }
  }

  /** Unless somebody let it go on meanwhile. */
  #stopNow(): void {
    if (this.#stopsSoon) this.#hls?.pause();
    this.#stopsSoon = false;
  }

  #fallBehind(): void {
    if (this.#isBehind) return;
    this.#isBehind = true;
    this.#closeViewer();
  }

  /** Nothing of WebRTC is shown from now on, so nothing of it is fetched. */
  #closeViewer(): void {
    this.#isClosed = true;
    this.#unfollow();
    this.#viewer?.stop();
    this.layers.follow(null);
    this.#stream = null;
  }

  /** WebRTC is asked for again, from now on. */
  #catchUp(): void {
    if (!this.#isBehind) return;
    this.#isBehind = false;
    this.#withoutSinceMs = null;
    this.#openViewer();
  }

  #openViewer(): void {
    this.#isClosed = false;
    const viewer = new WhepViewer({
      url: this.#request.whep,
      token: this.#request.token,
      onStream: (stream) => {
        this.#stream = stream;
        this.#look();
        if (this.state.get().way === "webrtc") void this.#show(stream);
      },
      onLayers: (address) => this.layers.follow(address),
    });
    let wasPlaying = false;
    this.#unfollow = viewer.state.subscribe(() => {
      const { phase } = viewer.state.get();
      if (wasPlaying && phase === "reconnecting") {
        this.#lossesMs = [...this.#lossesMs, performance.now()].slice(-LOSSES_KEPT);
      }
      wasPlaying = phase === "playing";
      this.#look();
    });
    this.#viewer = viewer;
    viewer.setLive(this.#isOnAir);
    void viewer.start();
  }

  /** Sees what there is, lets `decideWay` decide, and does it. */
  #look(): void {
    if (this.#stopping.signal.aborted || !this.#viewer) return;
    const nowMs = performance.now();
    this.#rest(nowMs);
    const watched = this.#viewer.state.get();
    const hasWebrtc = watched.phase === "playing";
    if (hasWebrtc || !this.#isOnAir) this.#withoutSinceMs = null;
    else this.#withoutSinceMs ??= nowMs;
    const isGone = watched.error !== null && GONE_STATUSES.has(watched.error.status);
    const hls = this.#hls?.state.get();
    if (hls?.isOff || hls?.isPlaying) this.#change({ canGoBack: !hls.isOff });
    if (hls?.isOff && this.#isBehind) {
      this.#catchUp();
      return this.#look();
    }
    const isRefused = (watched.phase === "failed" && !isGone) || NOT_FOR_WEBRTC.has(watched.error?.code ?? "");
    const way = decideWay({
      nowMs,
      way: this.state.get().way,
      isOnAir: this.#isOnAir,
      isBehind: this.#isBehind,
      hasWebrtc,
      hasHls: this.state.get().canGoBack,
      withoutSinceMs: this.#withoutSinceMs,
      isRefused,
      lossesMs: this.#lossesMs,
      restsUntilMs: this.#rests.untilMs,
    });
    if (way !== this.state.get().way) this.#switch(way, null);
    this.#describe(watched);
  }

  async #watchFreezes(): Promise<void> {
    const counts = await this.readCounts().catch(() => null);
    const { way, phase } = this.state.get();
    if (way !== "webrtc" || this.#stopping.signal.aborted) return this.#freezes.forget();
    const { video, isSeen } = this.#request;
    const distress = this.#freezes.look({
      nowMs: performance.now(),
      counts,
      isWatched: phase === "playing" && this.#isOnAir && !video.paused && isSeen(),
    });
    if (this.#isHelpless) return;
    if (!isSuffering(distress, this.layers.state.get())) return this.#rests.noteCalm(distress?.watchedMs ?? 0);
    this.#freezes.forget();
    this.#rests.begin(performance.now());
    this.#wasHelped = false;
    this.#look();
  }

  /** While HLS stands in for a connection that brings too little, WebRTC takes nothing of that. */
  #rest(nowMs: number): void {
    const { sinceMs, untilMs } = this.#rests;
    if (sinceMs === null || this.#isBehind || !this.#isOnAir) return;
    const hls = this.#hls?.state.get();
    this.#wasHelped ||= hls?.isPlaying === true;
    if (!isResting(nowMs, untilMs)) {
      this.#rests.end();
      if (this.#isClosed) this.#openViewer();
    } else if (hls?.isUnplayable || isNoHelp(nowMs, sinceMs, this.#wasHelped)) {
      this.#isHelpless = true;
      this.#rests.end();
      if (this.#isClosed) this.#openViewer();
    } else if (this.#wasHelped && !this.#isClosed) this.#closeViewer();
  }

  #describe(watched: WatchState): void {
    const { video } = this.#request;
    const hls = this.#hls?.state.get();
    if (this.state.get().way === "webrtc" || !hls) {
      const lengthS = this.#isOnAir ? this.#request.elapsedS() : this.state.get().lengthS;
      this.#change({ phase: watched.phase, error: watched.error, lengthS, behindS: 0, isPaused: this.#isStill() });
      void this.#measureWebrtc();
      return;
    }
    if (hls.isOff && this.#isOnAir) {
      const withoutMs = this.#withoutSinceMs === null ? 0 : performance.now() - this.#withoutSinceMs;
      const isTrying = withoutMs < PATIENCE_MS && watched.phase !== "failed";
      this.#change({ phase: isTrying ? "connecting" : "failed", error: isTrying ? null : HLS_OFF, behindS: 0, isPaused: false });
      return;
    }
    if (hls.isUnplayable && this.#isOnAir) {
      this.#change({ phase: "failed", error: UNPLAYABLE, isPaused: false });
      return;
    }
    const phase = hls.isPlaying || (video.paused && this.#isBehind) ? "playing" : "connecting";
    this.#change({
      phase: this.#isOnAir || hls.lengthS > 0 ? phase : watched.phase,
      error: null,
      isPaused: video.paused || this.#stopsSoon,
      lengthS: hls.lengthS || this.state.get().lengthS,
      behindS: hls.lengthS ? hls.behindS : this.state.get().behindS,
      latencyS: hls.latencyS,
    });
  }

  /** Somebody stopped a picture that only WebRTC has. */
  #isStill(): boolean {
    return !this.state.get().canGoBack && this.#request.video.paused;
  }

  #switch(way: Way, behindS: number | null): void {
    this.#change({ way, latencyS: null });
    this.#stopsSoon = false;
    if (way === "hls") {
      this.#request.video.srcObject = null;
      this.#hls = new HlsWay(this.#request.video, this.#request.hls, this.levels);
      void this.#hls.start(behindS);
      return;
    }
    this.#hls?.stop();
    this.#hls = null;
    if (this.#stream) void this.#show(this.#stream);
  }

  /** Plays with sound; where the browser first wants a gesture, without. */
  async #show(stream: MediaStream): Promise<void> {
    const { video } = this.#request;
    video.srcObject = stream;
    try {
      await video.play();
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
      video.muted = true;
      await video.play().catch(() => undefined);
      this.#change({ needsSound: true });
    }
  }

  async #measureWebrtc(): Promise<void> {
    const latencyS = (await this.#viewer?.measureLatencyS()) ?? null;
    if (this.state.get().way === "webrtc") this.#change({ latencyS });
  }

  #change(part: Partial<PlayerState>): void {
    const before = this.state.get();
    const after = { ...before, ...part };
    const keys = Object.keys(after) as (keyof PlayerState)[];
    if (keys.some((key) => before[key] !== after[key])) this.state.set(after);
  }
}
