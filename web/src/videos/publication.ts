/** When a video is published: what the owner chose, and how that is said. Pure; the present moment comes in. */
import { readLocal } from "../live/schedule";
import type { Video } from "./shapes";

/** Where lists place it, and what a page says about when it came: its publication, else its upload. */
export function listedAt(video: Pick<Video, "created_at" | "published_at">): string {
  return video.published_at ?? video.created_at;
}

/** How long until a page asks whether a time that came has done its work: the server takes a few seconds. */
const GRACE_MS = 4_000;
/** The longest wait that a browser's timer can hold. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export function waitMs(at: string, nowMs: number): number {
  return Math.min(TIMER_MS_MAX, Math.max(GRACE_MS, Date.parse(at) - nowMs + GRACE_MS));
}

/** The time that a form asks for: none (at once), one as the API takes it, or what is wrong with it. */
export function readPublishAt(text: string | null, nowMs: number): { at: string | null } | { problem: string } {
  if (text === null) return { at: null };
  const read = readLocal(text, nowMs);
  return "problem" in read ? read : { at: read.iso };
}

const WEEK_MS = 7 * 24 * 3_600_000;

/** What a form proposes as the end: a week from now, or from the publication that waits. */
export function proposeWithdrawal(video: Pick<Video, "publication">, nowMs: number): number {
  return (video.publication ? Date.parse(video.publication.at) : nowMs) + WEEK_MS;
}
