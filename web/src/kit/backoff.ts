/** How long to wait before trying again. Pure; used by the socket and by both WebRTC clients. */

export interface Backoff {
  firstMs: number;
  maxMs: number;
}

/** Full jitter above a quarter: many clients cut off together come back spread out. */
export function decideDelay(attempt: number, backoff: Backoff, random: () => number = Math.random): number {
  const ceiling = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(attempt, 16));
  return Math.round(ceiling * (0.25 + 0.75 * random()));
}

/** Waits, or ends early (without throwing) when the signal says so. */
export function waitMs(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}
