/**
 * How long HLS keeps the picture of a live after WebRTC's stood still: longer each time it does so again, the same as
 * the first time once it moved for a while. Pure.
 */
import { decideDelay } from "../kit/backoff";

/** A minute at first, about: each try on a bad connection is twenty seconds of a bad picture. */
export const RESTS = { firstMs: 90_000, maxMs: 360_000 };
/** Who watched WebRTC for so long without suffering has a good connection again. */
export const CALM_MS = 120_000;

export class Rests {
  readonly #random: () => number;
  #count = 0;
  #sinceMs: number | null = null;
  #untilMs: number | null = null;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** When WebRTC was left; null: HLS does not stand in for it. */
  get sinceMs(): number | null {
    return this.#sinceMs;
  }

  /** Until when; null likewise. */
  get untilMs(): number | null {
    return this.#untilMs;
  }

  begin(nowMs: number): void {
    this.#sinceMs = nowMs;
    this.#untilMs = nowMs + decideDelay(this.#count, RESTS, this.#random);
    this.#count += 1;
  }

  /** WebRTC may have the picture back. */
  end(): void {
    this.#sinceMs = this.#untilMs = null;
  }

  /** WebRTC's picture was watched for so long since it came, and did not suffer. */
  noteCalm(watchedMs: number): void {
    if (watchedMs >= CALM_MS) this.#count = 0;
  }
}
