/** What moderators work with: held lines, silenced people, words. Pure. */
import type { ChannelEvent } from "../kit/frames";
import type { Author } from "../videos/shapes";
import type { Rules } from "./room_rules";

export interface FullRules extends Rules {
  blocked_words: string[];
  held_words: string[];
}

export interface HeldLine {
  id: string;
  user: Author;
  text: string;
  why: string;
  created_at: string;
}

export interface Silenced {
  user: Author;
  is_banned: boolean;
  timed_out_until: string | null;
  reason: string;
  changed_at: string;
}

export const SLOW_MODE_S_MAX = 3_600;
export const WORDS_MAX = 200;
export const WORD_CHARS_MIN = 2;
export const WORD_CHARS_MAX = 60;

const REASONS: Record<string, string> = {
  word: "has a word you hold",
  link: "has a link",
  moderation: "held by moderation",
  moderation_slow: "moderation took too long",
};

/** Why a line waits, in words. */
export function describeReason(why: string): string {
  return REASONS[why] ?? why;
}

/** A line that was decided, here or by somebody else, waits no longer. */
export function applyDecided(lines: readonly HeldLine[], event: ChannelEvent): HeldLine[] {
  const decided = event.type === "held_refused" || event.type === "chat_message";
  const id = decided ? event.data.held_id : undefined;
  return id === undefined ? [...lines] : lines.filter((line) => line.id !== id);
}

/** Words as they were typed, one per line or between commas; each once. */
export function parseWords(text: string): string[] {
  const words = text.split(/[\n,]/).map((word) => word.trim().replace(/\s+/g, " "));
  return [...new Set(words.filter((word) => word !== "").map((word) => word.toLowerCase()))];
}

/** What is wrong with a list of words, or null. */
export function findWordsProblem(words: readonly string[]): string | null {
  if (words.length > WORDS_MAX) return `At most ${WORDS_MAX} words; these are ${words.length}.`;
  const odd = words.find((word) => [...word].length < WORD_CHARS_MIN || [...word].length > WORD_CHARS_MAX);
  return odd === undefined ? null : `“${odd}” needs ${WORD_CHARS_MIN} to ${WORD_CHARS_MAX} characters.`;
}

export interface RulesDraft {
  slowMode: string;
  followersOnly: boolean;
  followAgeS: number;
  subscribersOnly: boolean;
  holdsLinks: boolean;
  blocked: string;
  held: string;
}

export function makeDraft(rules: FullRules): RulesDraft {
  return {
    slowMode: String(rules.slow_mode_s),
    followersOnly: rules.followers_only,
    followAgeS: rules.follow_age_min_s,
    subscribersOnly: rules.subscribers_only,
    holdsLinks: rules.holds_links,
    blocked: rules.blocked_words.join("\n"),
    held: rules.held_words.join("\n"),
  };
}

/** The form of the rules: what is typed, and the stored rules that it began with. */
export interface FormState {
  draft: RulesDraft;
  base: FullRules;
}

export function startForm(stored: FullRules): FormState {
  return { draft: makeDraft(stored), base: stored };
}

export function hasChanges({ draft, base }: FormState): boolean {
  return JSON.stringify(draft) !== JSON.stringify(makeDraft(base));
}

/** What somebody else changed is shown, unless the form holds changes of its own. */
export function takeStored(form: FormState, stored: FullRules): FormState {
  return hasChanges(form) ? form : startForm(stored);
}

/** The rules to send, or which field is wrong. */
export function readDraft(draft: RulesDraft): { rules: Partial<FullRules> } | { field: keyof RulesDraft; problem: string } {
  const seconds = Number(draft.slowMode.trim() || "0");
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > SLOW_MODE_S_MAX) {
    return { field: "slowMode", problem: `Whole seconds from 0 to ${SLOW_MODE_S_MAX}.` };
  }
  for (const field of ["blocked", "held"] as const) {
    const problem = findWordsProblem(parseWords(draft[field]));
    if (problem !== null) return { field, problem };
  }
  return {
    rules: {
      slow_mode_s: seconds,
      followers_only: draft.followersOnly,
      follow_age_min_s: draft.followAgeS,
      subscribers_only: draft.subscribersOnly,
      holds_links: draft.holdsLinks,
      blocked_words: parseWords(draft.blocked),
      held_words: parseWords(draft.held),
    },
  };
}
