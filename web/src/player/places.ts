/** Moments of a video that a player may be sent to. Pure, but for `seekTo`, which sends it there. */

type Times = Pick<HTMLVideoElement, "currentTime" | "duration">;

/**
 * So far before its end, in seconds. At the very end a browser waits for sound that may be a few
 * milliseconds longer than the picture, and nobody loads it there.
 */
const TAIL_S = 0.2;

function stayInside(toS: number, durationS: number): number {
  return Math.max(0, Math.min(toS, durationS - TAIL_S));
}

/** Where another source goes on, in seconds. */
export function findPlace({ currentTime, duration }: Times): number {
  return Number.isFinite(duration) ? stayInside(currentTime, duration) : currentTime;
}

/** Goes to a moment, to the end by playing what is just before it; what has ended stays there. */
export function seekTo(video: Times & Pick<HTMLVideoElement, "ended">, toS: number): void {
  if (!Number.isFinite(video.duration) || (video.ended && toS >= video.currentTime)) return;
  video.currentTime = stayInside(toS, video.duration);
}
