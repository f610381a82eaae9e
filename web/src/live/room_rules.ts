/** What a chat has beyond its lines: rules, pinned lines, moderators, announcements. Pure; folds the room's events. */
import type { ChannelEvent } from "../kit/frames";
import type { MemberChanged, Pin, Raid as RaidSaid, Rules } from "../kit/messages";
import type { Author } from "../videos/shapes";

export type { Pin, RoomPlace, Rules } from "../kit/messages";

export interface ChatRules {
  rules: Rules | null;
  pins: Pin[];
  moderators: Author[];
  /** The newest announcement or raid that is still shown. */
  notice: Notice | null;
  /** The raid that takes us along, until we went or stayed. */
  raid: Raid | null;
  /** That we may not write, when we may not. */
  silence: Silence | null;
}

export interface Notice {
  kind: "announcement" | "raid" | "raided";
  text: string;
  by?: string;
  href?: string;
}

export type Raid = Pick<RaidSaid, "target" | "at">;

export interface Silence {
  isBanned: boolean;
  /** Of a time-out. */
  until: string | null;
}

/** What `GET /live/{id}/chat` says. */
export interface ChatAnswer {
  rules: Rules;
  pins: Pin[];
  moderators: Author[];
  me: { rank: Rank; is_banned: boolean; timed_out_until: string | null } | null;
}

export const NO_RULES: ChatRules = {
  rules: null,
  pins: [],
  moderators: [],
  notice: null,
  raid: null,
  silence: null,
};

export function applyRoomEvent(state: ChatRules, event: ChannelEvent, myId: string | null): ChatRules {
  switch (event.type) {
    case "room": {
      const { rules, pins, moderators } = event.data;
      return { ...state, rules, pins, moderators };
    }
    case "rules_changed":
      return { ...state, rules: event.data.rules };
    case "pins_changed":
      return { ...state, pins: event.data.pins };
    case "message_deleted":
      return event.data.pins ? { ...state, pins: event.data.pins } : state;
    case "member_changed":
      return applyMember(state, event.data, myId);
    case "announcement":
    case "raided":
      return { ...state, notice: readNotice(event) };
    case "raid":
      return { ...state, notice: readNotice(event), raid: event.data };
    default:
      return state;
  }
}

/** The first answer of the API, for what the channel has not said yet. */
export function applyChatAnswer(state: ChatRules, answer: ChatAnswer): ChatRules {
  const known = state.rules === null ? { rules: answer.rules, pins: answer.pins, moderators: answer.moderators } : {};
  if (!answer.me) return { ...state, ...known };
  const { is_banned: isBanned, timed_out_until: until } = answer.me;
  return { ...state, ...known, silence: isBanned || until !== null ? { isBanned, until } : null };
}

const RAID_JOINED_MS = 30_000;

/** The newest announcement of a history, so that whoever comes later reads it too; a raid takes along who just came. */
export function applyNotices(state: ChatRules, history: readonly ChannelEvent[], nowMs: number): ChatRules {
  if (state.notice !== null) return state;
  const newest = history.find(isNotice);
  if (!newest) return state;
  const isNow = newest.type === "raid" && nowMs - Date.parse(newest.data.at) < RAID_JOINED_MS;
  return { ...state, notice: readNotice(newest), raid: isNow ? newest.data : state.raid };
}

type NoticeEvent = Extract<ChannelEvent, { type: "announcement" | "raid" | "raided" }>;

function isNotice(event: ChannelEvent): event is NoticeEvent {
  return event.type === "announcement" || event.type === "raid" || event.type === "raided";
}

function readNotice(event: NoticeEvent): Notice {
  if (event.type === "announcement") {
    return { kind: "announcement", text: event.data.text, by: event.data.user.display_name };
  }
  if (event.type === "raid") {
    const { owner_name: owner, title, id } = event.data.target;
    return { kind: "raid", text: `Next: ${owner}, “${title}”`, href: `/live/${id}` };
  }
  const { source, viewers } = event.data;
  const many = viewers > 1 ? `their ${viewers} viewers` : "their viewers";
  return { kind: "raided", text: `${source.owner_name} sends ${many} here.`, href: `/live/${source.id}` };
}

const RAID_FRESH_MS = 2 * 60_000;

/** Whether a raid takes somebody along now: not one that was replayed after a long absence. */
export function isRaidFresh(raid: Raid, nowMs: number): boolean {
  return Math.abs(nowMs - Date.parse(raid.at)) < RAID_FRESH_MS;
}

function applyMember(state: ChatRules, change: MemberChanged, myId: string | null): ChatRules {
  const others = state.moderators.filter((person) => person.id !== change.user.id);
  const moderators = change.role === "moderator" ? [...others, change.user] : others;
  if (change.user.id !== myId) return { ...state, moderators };
  const { is_banned: isBanned, timed_out_until: until } = change;
  return { ...state, moderators, silence: isBanned || until !== null ? { isBanned, until } : null };
}

export type Rank = "guest" | "moderator" | "owner";

/** What we may do here; the room checks it again. */
export function decideRank(
  me: { id: string; role?: string } | null,
  ownerId: string,
  moderators: readonly Author[],
): Rank {
  if (!me) return "guest";
  if (me.id === ownerId || me.role === "admin") return "owner";
  const isModerator = me.role === "moderator" || moderators.some((person) => person.id === me.id);
  return isModerator ? "moderator" : "guest";
}
