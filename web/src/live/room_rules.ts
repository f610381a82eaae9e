/** What a chat has beyond its lines: rules, pinned lines, moderators, announcements. Pure; folds the room's events. */
import type { ChannelEvent } from "../kit/frames";
import type { Author } from "../videos/shapes";

export interface Rules {
  slow_mode_s: number;
  followers_only: boolean;
  follow_age_min_s: number;
  subscribers_only: boolean;
  holds_links: boolean;
}

export interface Pin {
  id: string;
  user: Author;
  text: string;
}

export interface ChatRules {
  rules: Rules | null;
  pins: Pin[];
  moderators: Author[];
  /** The newest announcement or raid that is still shown. */
  notice: Notice | null;
  /** Why we may not write, when we may not. */
  silence: string | null;
}

export interface Notice {
  text: string;
  href?: string;
}

export const NO_RULES: ChatRules = {
  rules: null,
  pins: [],
  moderators: [],
  notice: null,
  silence: null,
};

interface MemberChange {
  user: Author;
  role: "guest" | "moderator";
  is_banned: boolean;
  timed_out_until: string | null;
}

interface RoomPlace {
  id: string;
  title: string;
  owner_name: string;
}

export function applyRoomEvent(state: ChatRules, event: ChannelEvent, myId: string | null): ChatRules {
  const data = event.data as Record<string, unknown>;
  switch (event.type) {
    case "room": {
      const { rules, pins, moderators } = data as unknown as ChatRules;
      return { ...state, rules, pins, moderators };
    }
    case "rules_changed":
      return { ...state, rules: data["rules"] as Rules };
    case "pins_changed":
      return { ...state, pins: data["pins"] as Pin[] };
    case "message_deleted":
      return data["pins"] ? { ...state, pins: data["pins"] as Pin[] } : state;
    case "member_changed":
      return applyMember(state, event.data as MemberChange, myId);
    case "announcement":
      return { ...state, notice: { text: String(data["text"]) } };
    case "raid": {
      const target = data["target"] as RoomPlace;
      const text = `Next: ${target.owner_name}, “${target.title}”`;
      return { ...state, notice: { text, href: `/live/${target.id}` } };
    }
    case "raided": {
      const source = data["source"] as RoomPlace;
      return { ...state, notice: { text: `${source.owner_name} sends their viewers here.` } };
    }
    default:
      return state;
  }
}

function applyMember(state: ChatRules, change: MemberChange, myId: string | null): ChatRules {
  const others = state.moderators.filter((person) => person.id !== change.user.id);
  const moderators = change.role === "moderator" ? [...others, change.user] : others;
  if (change.user.id !== myId) return { ...state, moderators };
  return { ...state, moderators, silence: describeSilence(change) };
}

/** Why somebody may not write, in words for themselves. */
function describeSilence(me: Pick<MemberChange, "is_banned" | "timed_out_until">): string | null {
  if (me.is_banned) return "You are banned from this chat.";
  return me.timed_out_until ? "You may not write here for a while." : null;
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

/** The rules that a writer should know, in words. */
export function describeRules(rules: Rules | null): string {
  if (!rules) return "";
  const words = [];
  if (rules.slow_mode_s > 0) words.push(`slow mode, one line in ${rules.slow_mode_s} s`);
  if (rules.followers_only) words.push("followers only");
  if (rules.subscribers_only) words.push("subscribers only");
  return words.length === 0 ? "" : `This chat: ${words.join("; ")}.`;
}
