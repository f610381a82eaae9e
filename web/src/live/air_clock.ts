/** For how long a live has been on air, as far as a page knows that may have waited for it. Pure. */
import type { LiveStatus } from "./shapes";

export class AirClock {
  #beganMs: number | null = null;

  /** What is known of the live now; `startedAt` is null on a page that was there before it began. */
  note(status: LiveStatus, startedAt: string | null, nowMs: number): void {
    if (startedAt !== null) this.#beganMs = Date.parse(startedAt);
    else if (status !== "created" && status !== "scheduled") this.#beganMs ??= nowMs;
  }

  elapsedS(nowMs: number): number {
    return this.#beganMs === null ? 0 : Math.max(0, (nowMs - this.#beganMs) / 1000);
  }
}
