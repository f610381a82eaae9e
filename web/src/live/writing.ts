/** Whether a line can be written now, and what to say about it. Pure; the present moment comes in as an argument. */
import { formatDuration } from "../kit/words";
import type { Rank, Rules, Silence } from "./room_rules";

export interface WritingScene {
  rules: Rules | null;
  rank: Rank;
  silence: Silence | null;
  /** Undefined while nobody knows. */
  isFollowing: boolean | undefined;
  /** Undefined while nobody knows. */
  isSubscribed: boolean | undefined;
  ownerName: string;
  waitUntilMs: number;
  nowMs: number;
}

export interface Writing {
  /** "closed": not now; "follow": once one follows; "open": a line may be written. */
  state: "open" | "follow" | "closed";
  /** Whole seconds until the next line may be sent; 0: now. */
  waitS: number;
  hint: string;
}

const FOLLOW_AGES: readonly [number, string][] = [
  [86_400, "day"],
  [3_600, "hour"],
  [60, "minute"],
  [1, "second"],
];

export function decideWriting(scene: WritingScene): Writing {
  const { rules, silence, nowMs } = scene;
  if (silence?.isBanned) return close("You are banned from this chat.");
  const untilMs = silence?.until ? Date.parse(silence.until) : 0;
  if (untilMs > nowMs) return close(`You may not write here for ${formatDuration(countSeconds(untilMs, nowMs))}.`);
  const waitS = countSeconds(scene.waitUntilMs, nowMs);
  // Moderators are bound by the site's pace alone, of which only a refusal tells.
  if (scene.rank !== "guest") return { state: "open", waitS: 0, hint: "" };
  if (rules?.subscribers_only && scene.isSubscribed === false) {
    return close(`Only subscribers of ${scene.ownerName} write here.`);
  }
  if (rules?.followers_only && scene.isFollowing === false) {
    return { state: "follow", waitS, hint: `Only followers of ${scene.ownerName} write here.` };
  }
  return { state: "open", waitS, hint: describeRules(rules, waitS) };
}

function close(hint: string): Writing {
  return { state: "closed", waitS: 0, hint };
}

function countSeconds(untilMs: number, nowMs: number): number {
  return Math.max(0, Math.ceil((untilMs - nowMs) / 1_000));
}

/** The rules that a writer should know, in words. */
export function describeRules(rules: Rules | null, waitS = 0): string {
  const words = [];
  if (waitS > 0) words.push(`Next line in ${formatDuration(waitS)}`);
  else if (rules && rules.slow_mode_s > 0) words.push(`Slow mode: one line every ${describeSpan(rules.slow_mode_s)}`);
  if (rules?.followers_only) words.push(describeFollowing(rules.follow_age_min_s));
  if (rules?.subscribers_only) words.push("subscribers only");
  const text = words.join(" · ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function describeFollowing(ageS: number): string {
  return ageS === 0 ? "followers only" : `followers for at least ${describeSpan(ageS)}`;
}

/** "10 seconds", "1 hour": the largest unit that is exact. */
export function describeSpan(seconds: number): string {
  for (const [size, unit] of FOLLOW_AGES) {
    if (seconds % size === 0 && seconds >= size) {
      const count = seconds / size;
      return `${count} ${unit}${count === 1 ? "" : "s"}`;
    }
  }
  return "0 seconds";
}
