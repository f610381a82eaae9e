/** How fast an upload is and how long the rest will take, from what was sent when. */
import { formatBytes, formatLeft } from "../kit/words";

/** Older samples say little about now. */
const WINDOW_MS = 10_000;
const SPAN_MS_MIN = 500;

export class UploadPace {
  #samples: { bytes: number; atMs: number }[] = [];

  /** Bytes per second over the last ten seconds; null while there is too little to tell. */
  note(bytes: number, atMs: number): number | null {
    this.#samples.push({ bytes, atMs });
    while (this.#samples.length > 2 && atMs - (this.#samples[1]?.atMs ?? 0) > WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0];
    if (!first || atMs - first.atMs < SPAN_MS_MIN || bytes <= first.bytes) return null;
    return ((bytes - first.bytes) * 1000) / (atMs - first.atMs);
  }

  /** It stood still: what was measured before that says nothing of what comes. */
  forget(): void {
    this.#samples = [];
  }
}

/** "2.4 MB/s / 3 min left". */
export function describeRest(leftBytes: number, speedBps: number): string {
  const speed = `${formatBytes(speedBps)}/s`;
  return leftBytes > 0 && speedBps > 0 ? `${speed} / ${formatLeft(leftBytes / speedBps)} left` : speed;
}
