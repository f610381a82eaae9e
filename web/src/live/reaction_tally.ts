/** Reactions as the room adds them up, and which of them rise over the chat. Pure. */

import type { Reactions } from "../kit/messages";

/** The six that a room counts, each with its name. */
export const REACTIONS: readonly { mark: Mark; name: string }[] = [
  { mark: "❤️", name: "heart" },
  { mark: "👏", name: "applause" },
  { mark: "😂", name: "laughter" },
  { mark: "😮", name: "surprise" },
  { mark: "🔥", name: "fire" },
  { mark: "🎉", name: "party" },
];

export type Mark = keyof Reactions["counts"];
export type Totals = Readonly<Reactions["counts"]>;

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
  const known = REACTIONS.filter(({ mark }) => typeof counts[mark] === "number");
  return Object.fromEntries(known.map(({ mark }) => [mark, counts[mark]]));
}

export function applyCounts(totals: Totals, counts: Totals): Totals {
  const next = { ...totals };
  for (const { mark } of REACTIONS) if (counts[mark]) next[mark] = (next[mark] ?? 0) + counts[mark];
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
