/** Reactions as the room adds them up, and which of them rise over the chat. Pure. */

import type { Reactions } from "../kit/messages";

/** The six that a room counts, each with its name. */
export const REACTIONS = [
  { mark: "❤️", name: "heart" },
  { mark: "👏", name: "applause" },
  { mark: "😂", name: "laughter" },
  { mark: "😮", name: "surprise" },
  { mark: "🔥", name: "fire" },
  { mark: "🎉", name: "party" },
] as const;

export type Mark = (typeof REACTIONS)[number]["mark"];
export type Totals = Readonly<Record<string, number>>;

export interface Burst {
  id: number;
  mark: Mark;
  count: number;
  /** Where it rises, in percent of the width. */
  place: number;
}

/** So many rise at once; of a storm the counts tell. */
export const BURSTS_MAX = 12;

export function readCounts({ counts }: Reactions): Totals {
  return Object.fromEntries(
    REACTIONS.map(({ mark }) => [mark, counts[mark]] as const).filter(([, count]) => typeof count === "number"),
  ) as Totals;
}

export function applyCounts(totals: Totals, counts: Totals): Totals {
  const next = { ...totals };
  for (const [mark, count] of Object.entries(counts)) next[mark] = (next[mark] ?? 0) + count;
  return next;
}

/** One burst for each kind that came, with how many of it; the oldest make room. */
export function applyBursts(bursts: readonly Burst[], counts: Totals, place: () => number): Burst[] {
  let id = bursts.at(-1)?.id ?? 0;
  const fresh = REACTIONS.filter(({ mark }) => counts[mark]).map(({ mark }) => ({
    id: (id += 1),
    mark,
    count: counts[mark] ?? 0,
    place: place(),
  }));
  return [...bursts, ...fresh].slice(-BURSTS_MAX);
}
