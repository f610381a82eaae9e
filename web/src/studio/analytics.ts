/** A video's numbers as the API gives them, as points of charts. Pure. */
import type { ChartPoint } from "../kit/chart";

export interface Analytics {
  views: number;
  sessions: number;
  watched_ms: number;
  watching_now: number;
  likes: number;
  comments: number;
  shares: number;
  days: { day: string; views: number; watched_ms: number; likes: number; comments: number; shares: number }[];
  retention: number[];
  sources: Record<string, number>;
  devices: Record<string, number>;
  countries: Record<string, number>;
  experience: { start_ms: number | null; stalled_share: number; stalls: number; switches: number };
}

/** How long it was watched by all: hours, or minutes of what is not much yet. */
export function describeWatched(ms: number): string {
  return ms < 3_600_000 ? `${(ms / 60_000).toFixed(1)} min` : `${(ms / 3_600_000).toFixed(1)} h`;
}

/** Sessions by the countries' names in the reader's language; the rest is not known. */
export function nameCountries(found: Analytics, language: string | undefined): Record<string, number> {
  const names = new Intl.DisplayNames(language, { type: "region", fallback: "code" });
  const entries = Object.entries(found.countries);
  const known = entries.reduce((sum, [, count]) => sum + count, 0);
  const named = Object.fromEntries(entries.map(([code, count]) => [names.of(code) ?? code, count]));
  return found.sessions > known ? { ...named, "Not known": found.sessions - known } : named;
}

/** The retention curve; the whole number of percent names each point. */
export function listRetention(found: Analytics): ChartPoint[] {
  return found.retention.map((share, part) => ({ label: `${part} %`, value: share * 100 }));
}

export function listViews(found: Analytics): ChartPoint[] {
  return found.days.map((day) => ({ label: day.day, value: day.views }));
}

export function listMinutes(found: Analytics): ChartPoint[] {
  return found.days.map((day) => ({ label: day.day, value: Math.round(day.watched_ms / 6_000) / 10 }));
}

/** Likes, comments and shares together; each by itself is among the figures. */
export function listEngagement(found: Analytics): ChartPoint[] {
  return found.days.map((day) => ({ label: day.day, value: day.likes + day.comments + day.shares }));
}
