/** How much of the last seconds a live's picture by WebRTC stood still although packets came. Pure. */
import type { PictureCounts } from "../kit/whep";
import { Stillness } from "./stillness";
import { LOOK_MAX_MS } from "./watch_meter";

/** So much of watching is remembered, and nothing is said before it was seen. */
export const REMEMBERED_MS = 20_000;

export interface FreezeLook {
  nowMs: number;
  /** Since the connection began; null where there is nothing to count. */
  counts: PictureCounts | null;
  /** WebRTC shows the picture, it plays, and the page is visible. */
  isWatched: boolean;
}

export interface Distress {
  /** Of the time. */
  frozenShare: number;
  /** Of the packets. */
  lostShare: number;
  /** How long the picture was watched, all in all. */
  watchedMs: number;
}

interface Step {
  spanMs: number;
  isFrozen: boolean;
  lost: number;
  received: number;
}

export class Freezes {
  readonly #stillness = new Stillness();
  #before: FreezeLook | null = null;
  #steps: Step[] = [];
  #spanMs = 0;
  #watchedMs = 0;

  /** Takes one look; returns what the last seconds of watching were like, null while there are too few. */
  look(look: FreezeLook): Distress | null {
    const before = this.#before;
    this.#before = look;
    if (!before?.isWatched || !look.isWatched || !before.counts || !look.counts) return null;
    const spanMs = look.nowMs - before.nowMs;
    const received = look.counts.received - before.counts.received;
    // The page slept, or this is another connection.
    if (spanMs <= 0 || spanMs > LOOK_MAX_MS || received < 0) return null;
    const lost = Math.max(0, look.counts.lost - before.counts.lost);
    this.#steps.push({ spanMs, isFrozen: this.#stillness.look(before.counts, look.counts), lost, received });
    this.#spanMs += spanMs;
    this.#watchedMs += spanMs;
    return this.#measure();
  }

  /** What was seen says nothing of what comes. */
  forget(): void {
    this.#before = null;
    this.#stillness.forget();
    this.#steps = [];
    this.#spanMs = 0;
    this.#watchedMs = 0;
  }

  #measure(): Distress | null {
    for (let [oldest] = this.#steps; oldest && this.#spanMs - oldest.spanMs >= REMEMBERED_MS; [oldest] = this.#steps) {
      this.#spanMs -= oldest.spanMs;
      this.#steps.shift();
    }
    if (this.#spanMs < REMEMBERED_MS) return null;
    const sum = (count: (step: Step) => number) => this.#steps.reduce((all, step) => all + count(step), 0);
    const lost = sum((step) => step.lost);
    return {
      frozenShare: sum((step) => (step.isFrozen ? step.spanMs : 0)) / this.#spanMs,
      lostShare: lost / Math.max(1, lost + sum((step) => step.received)),
      watchedMs: this.#watchedMs,
    };
  }
}
