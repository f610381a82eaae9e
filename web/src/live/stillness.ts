/**
 * Whether a picture by WebRTC stands still although packets of it come: the viewer's connection brings less than it
 * takes. The position of the <video> does not say so: in Chromium it goes on with the sound. Who sends nothing, or a
 * screen on which nothing moves, is no part of it. Pure; asked twice a second.
 */
import type { PictureCounts } from "../kit/whep";

/** So many in half a second are of more than a picture or two in which nothing moves. */
const MANY_PACKETS = 10;

export class Stillness {
  #last: { isMoving: boolean; received: number } | null = null;

  /** Takes what was counted at two looks one after the other. */
  look(before: PictureCounts, now: PictureCounts): boolean {
    const received = now.received - before.received;
    const isMoving = now.decoded > before.decoded;
    // A screen's pictures are few and far apart: what came of one just now is shown a moment later.
    const isDue = received >= MANY_PACKETS || (this.#last !== null && !this.#last.isMoving && this.#last.received > 0);
    this.#last = { isMoving, received };
    return !isMoving && isDue;
  }

  /** What was seen says nothing of what comes. */
  forget(): void {
    this.#last = null;
  }
}
