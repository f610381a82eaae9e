/** What people are told, and what the page makes of it. Pure. */
import { nameOf } from "../kit/avatar";
import type { ChannelEvent } from "../kit/frames";
import type { Notification } from "../kit/messages";
import { formatMoment } from "../live/schedule";

type Always = "id" | "kind" | "created_at" | "user";

/** A notification with its place; the API says null for what the socket leaves out. */
export type Notice = Pick<Notification, Always> & {
  [Key in Exclude<keyof Notification, Always>]?: string | null;
} & { offset: number };

/** What the bell knows: the newest first. `unseen` counts on the server, at most a hundred. */
export interface Told {
  items: Notice[];
  next_cursor: string | null;
  unseen: number;
}

export const UNSEEN_MAX = 99;

/** Reads a `notification` of the person's own channel; null for anything else. */
export function readNotice(event: ChannelEvent): Notice | null {
  if (event.type !== "notification" || event.offset === undefined) return null;
  const data = event.data as Partial<Notification> | null;
  if (typeof data?.id !== "string" || typeof data.kind !== "string" || !data.user?.username) return null;
  return { ...event.data, offset: event.offset };
}

/** Adds what was just told; the same notice twice is one. */
export function addNotice(told: Told, notice: Notice): Told {
  if (told.items.some((known) => known.id === notice.id)) return told;
  return { ...told, items: [notice, ...told.items], unseen: told.unseen + 1 };
}

/** Adds an older page. */
export function addPage(told: Told, page: Told): Told {
  const known = new Set(told.items.map((notice) => notice.id));
  return { ...page, items: [...told.items, ...page.items.filter((notice) => !known.has(notice.id))] };
}

/** "3", "99+", or nothing. */
export function writeCount(unseen: number): string {
  if (unseen <= 0) return "";
  return unseen > UNSEEN_MAX ? `${UNSEEN_MAX}+` : String(unseen);
}

/** Whether the notice says by itself who did it: of a moderator no name is told. */
export function isWhole(notice: Notice): boolean {
  return notice.kind === "takedown";
}

/** What happened, after the name of who did it unless the notice is whole. */
export function describeNotice(notice: Notice): string {
  switch (notice.kind) {
    case "follow":
      return "follows you";
    case "like":
      return notice.video_id ? "likes your video" : "likes your post";
    case "comment":
      return notice.video_id ? "wrote a comment on your video" : "wrote a comment on your post";
    case "live":
      return "is live";
    case "video":
      return "published a video";
    case "subscription":
      return notice.until ? `gave you a subscription until ${formatMoment(notice.until)}` : "gave you a subscription";
    case "takedown":
      return `A moderator took down your live “${notice.title ?? ""}”`;
    default:
      return "did something";
  }
}

/** The whole notice as one sentence, for whoever listens. */
export function sayNotice(notice: Notice): string {
  if (isWhole(notice)) return `${describeNotice(notice)}: ${notice.text ?? ""}`;
  return `${nameOf(notice.user)} ${describeNotice(notice)}`;
}

/** Where a notice leads. */
export function findPlace(notice: Notice): string {
  if (notice.kind === "takedown") return "/studio";
  if (notice.live_id) return `/live/${notice.live_id}`;
  if (notice.video_id) return `/watch/${notice.video_id}`;
  if (notice.post_id) return `/post/${notice.post_id}`;
  return `/u/${notice.user.username}`;
}
