/** Addresses of videos with a moment to start at, and what stands in them. Pure. */

import type { Video } from "./shapes";

export function writeLink(videoId: string, startS: number): string {
  return `/watch/${videoId}${startS > 0 ? `?t=${startS}` : ""}`;
}

export function writeEmbed(origin: string, videoId: string, startS: number): string {
  const address = `${origin}/embed/${videoId}${startS > 0 ? `?t=${startS}` : ""}`;
  return `<iframe src="${address}" width="640" height="360" allow="fullscreen; picture-in-picture" style="border:0"></iframe>`;
}

/** Whether it plays in a frame of another site, where nobody is logged in. */
export function isEmbeddable({ visibility }: Pick<Video, "visibility">): boolean {
  return visibility === "public" || visibility === "unlisted";
}

const TIME = /^(?:(\d{1,3})h)?(?:(\d{1,4})m)?(?:(\d{1,6})s?)?$/;

/** Seconds from `90`, `90s`, `1m30s` or `1h2m3s`; null for anything else. */
export function readStart(text: string | null): number | null {
  const parts = text ? TIME.exec(text) : null;
  if (!parts) return null;
  const [hours, minutes, seconds] = [1, 2, 3].map((group) => Number(parts[group] ?? 0));
  return (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0);
}
