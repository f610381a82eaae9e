/** Where a viewer came from, and telling the API how their session stands. */
import { api } from "../kit/api";
import type { SessionReport } from "../player/beacon";

export type Source =
  | "home"
  | "explore"
  | "profile"
  | "library"
  | "playlist"
  | "related"
  | "embed"
  | "external"
  | "direct";

const PLACES: readonly [string, Source][] = [
  ["/explore", "explore"],
  ["/u/", "profile"],
  ["/library", "library"],
  ["/playlist/", "playlist"],
  ["/watch/", "related"],
];

/** `previous` is the page of this site before this one; `referrer` what the browser says of the first. Pure. */
export function nameSource(previous: string | null, referrer: string, listId: string | null): Source {
  if (listId !== null) return "playlist";
  if (previous === "/" || previous?.startsWith("/post/")) return "home";
  const place = PLACES.find(([path]) => previous?.startsWith(path));
  if (place) return place[1];
  return referrer === "" ? "direct" : "external";
}

/** Sent even while the page is being left; a lost beacon is made good by the next. */
export function tellWatching(videoId: string, report: SessionReport, source: Source): void {
  api.post(`/videos/${videoId}/watch`, { ...report, source }, { keepalive: true }).catch(() => undefined);
}
