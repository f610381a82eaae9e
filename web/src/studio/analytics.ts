/** A video's numbers as the API gives them, as points of charts. Pure. */
import type { ChartPoint } from "../kit/chart";

export interface Analytics {
  views: number;
  sessions: number;
  watched_ms: number;
  watching_now: number;
  days: { day: string; views: number; watched_ms: number }[];
  retention: number[];
  sources: Record<string, number>;
  devices: Record<string, number>;
  countries: null;
  experience: { start_ms: number | null; stalled_share: number; stalls: number; switches: number };
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
