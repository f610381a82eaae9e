/** Subscriptions as the API gives them, when a new one ends, and what a refusal says. Pure. */
import { ApiError } from "../kit/errors";
import { formatMoment, readLocal } from "../live/schedule";
import type { Author } from "../videos/shapes";

export interface Subscription {
  id: string;
  /** The other side: the subscriber, or the channel's owner. */
  user: Author;
  source: "gift" | "payment";
  since: string;
  /** Null: without an end. */
  until: string | null;
}

export type Span = "open" | "month" | "year" | "time";

/** What a form says about the end; `text` is of the date field, and counts with `time` alone. */
export interface EndDraft {
  span: Span;
  text: string;
}

export const SPANS: readonly { value: Span; label: string }[] = [
  { value: "open", label: "Until you end it" },
  { value: "month", label: "For 30 days" },
  { value: "year", label: "For 365 days" },
  { value: "time", label: "Until a time" },
];

const DAYS: Partial<Record<Span, number>> = { month: 30, year: 365 };
const DAY_MS = 86_400_000;

/** The end as the API takes it, or what is wrong with it. */
export function readEnd({ span, text }: EndDraft, nowMs: number): { until: string | null } | { problem: string } {
  if (span === "open") return { until: null };
  const days = DAYS[span];
  if (days !== undefined) return { until: new Date(nowMs + days * DAY_MS).toISOString() };
  const read = readLocal(text, nowMs);
  return "problem" in read ? read : { until: read.iso };
}

/** "Gift, until Fri, Jun 12, 20:00". */
export function describeSubscription({ source, until }: Pick<Subscription, "source" | "until">): string {
  const kind = source === "gift" ? "Gift" : "Paid";
  return until === null ? `${kind}, without an end` : `${kind}, until ${formatMoment(until)}`;
}

/** Whose subscribers alone may see what was refused; null when it was refused for anything else. */
export function findGate(error: unknown): Author | null {
  if (!(error instanceof ApiError) || error.code !== "for_subscribers") return null;
  const { owner } = (error.details ?? {}) as { owner?: Author };
  return owner?.username ? owner : null;
}
