/**
 * How watching goes: time to the first picture, moments it stood still, packets lost. Pure: whoever plays tells what
 * is seen, `watch_reports.ts` sends what comes out of it.
 */
import type { PictureCounts } from "../kit/whep";
import { Stillness } from "./stillness";
import type { Way } from "./ways";

/** A report covers so long. */
export const REPORT_MS = 10_000;
/** A picture that advances less than this share of the time stands still. */
export const MOVING_SHARE = 0.2;
/** So long a picture may be the last one where the position stands, too: a screen's are a second apart. */
const QUIET_MS = 2_000;
/** Looks further apart say nothing: the page slept. */
export const LOOK_MAX_MS = 2_500;

export interface WatchLook {
  nowMs: number;
  way: Way;
  /** Of the <video>. */
  positionS: number;
  /** Somebody wants to see the live, and it is on air. */
  shouldPlay: boolean;
  latencyS: number | null;
  /** Of the picture since the connection began; null where there is nothing to count. */
  counts: PictureCounts | null;
}

export interface WatchFacts {
  way: Way;
  span_ms: number;
  freezes: number;
  stalled_ms: number;
  lost: number;
  received: number;
  latency_ms: number | null;
  join_ms: number | null;
}

export class WatchMeter {
  readonly #stillness = new Stillness();
  #before: WatchLook | null = null;
  #beganMs: number | null = null;
  #joinMs: number | null = null;
  #isStalled = false;
  #pictureMs = 0;
  #spanMs = 0;
  #stalledMs = 0;
  #freezes = 0;
  #lost = 0;
  #received = 0;

  /** Takes one look; returns a report when one is due. */
  look(look: WatchLook): WatchFacts | null {
    const before = this.#before;
    this.#before = look;
    if (!look.shouldPlay) {
      this.#isStalled = false;
      return null;
    }
    this.#beganMs ??= look.nowMs;
    if (before === null || !before.shouldPlay) return null;
    const sinceMs = look.nowMs - before.nowMs;
    if (sinceMs <= 0 || sinceMs > LOOK_MAX_MS) return null;
    this.#countPackets(before, look);
    const isMoving = this.#isMoving(before, look, sinceMs);
    if (this.#joinMs === null) {
      if (!isMoving) return null;
      this.#joinMs = look.nowMs - this.#beganMs;
    }
    this.#spanMs += sinceMs;
    if (!isMoving) {
      this.#stalledMs += sinceMs;
      if (!this.#isStalled) this.#freezes += 1;
    }
    this.#isStalled = !isMoving;
    return this.#spanMs >= REPORT_MS ? this.#take(look) : null;
  }

  #isMoving(before: WatchLook, look: WatchLook, sinceMs: number): boolean {
    // Another way has another clock: its first look says nothing of moving.
    if (before.way !== look.way) return !this.#isStalled;
    const goesOn = (look.positionS - before.positionS) * 1000 >= MOVING_SHARE * sinceMs;
    if (!before.counts || !look.counts) return goesOn;
    const isStill = this.#stillness.look(before.counts, look.counts);
    const hasPicture = look.counts.decoded > before.counts.decoded;
    if (hasPicture) this.#pictureMs = look.nowMs;
    // Sound alone is no picture yet.
    if (this.#joinMs === null) return hasPicture;
    // Without sound the position goes on with pictures alone, and a screen has few.
    return !isStill && (goesOn || look.nowMs - this.#pictureMs < QUIET_MS);
  }

  #countPackets(before: WatchLook, look: WatchLook): void {
    if (!before.counts || !look.counts) return;
    this.#lost += Math.max(0, look.counts.lost - before.counts.lost);
    this.#received += Math.max(0, look.counts.received - before.counts.received);
  }

  #take(look: WatchLook): WatchFacts {
    const facts: WatchFacts = {
      way: look.way,
      span_ms: Math.round(this.#spanMs),
      freezes: this.#freezes,
      stalled_ms: Math.round(this.#stalledMs),
      lost: this.#lost,
      received: this.#received,
      latency_ms: look.latencyS === null ? null : Math.min(600_000, Math.round(look.latencyS * 1000)),
      join_ms: this.#joinMs === null ? null : Math.min(600_000, Math.round(this.#joinMs)),
    };
    this.#spanMs = this.#stalledMs = this.#freezes = this.#lost = this.#received = 0;
    return facts;
  }
}
