/** When a live will begin, in words and in the browser's own date field. Pure; the present moment comes in. */

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const AHEAD_MAX_MS = 365 * DAY_MS;
const MOMENT = new Intl.DateTimeFormat("en", {
  weekday: "short",
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  hour12: false,
});
const DAY = new Intl.DateTimeFormat("en", { weekday: "short", day: "numeric", month: "short" });
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "always" });

/** "Fri, Jun 12, 20:00", in the reader's own time zone. */
export function formatMoment(iso: string): string {
  const ms = Date.parse(iso);
  return Number.isNaN(ms) ? "" : MOMENT.format(ms);
}

/** "Fri, Jun 12". */
export function formatDay(iso: string): string {
  const ms = Date.parse(iso);
  return Number.isNaN(ms) ? "" : DAY.format(ms);
}

/** "in 2 days", "in 5 minutes"; rounded down, so that nobody comes too late. */
export function describeStart(iso: string, nowMs: number): string {
  const leftMs = Date.parse(iso) - nowMs;
  if (leftMs < MINUTE_MS) return leftMs <= -MINUTE_MS ? "any moment now" : "now";
  if (leftMs < 60 * MINUTE_MS) return RELATIVE.format(Math.floor(leftMs / MINUTE_MS), "minute");
  if (leftMs < DAY_MS) return RELATIVE.format(Math.floor(leftMs / (60 * MINUTE_MS)), "hour");
  return RELATIVE.format(Math.floor(leftMs / DAY_MS), "day");
}

/** The parts of a countdown, with the days left out when there are none; null once the time has come. */
export function splitCountdown(iso: string, nowMs: number): { value: string; unit: string }[] | null {
  const seconds = Math.ceil((Date.parse(iso) - nowMs) / 1_000);
  if (!(seconds > 0)) return null;
  const parts = [
    { value: Math.floor(seconds / 86_400), unit: "days" },
    { value: Math.floor(seconds / 3_600) % 24, unit: "hours" },
    { value: Math.floor(seconds / 60) % 60, unit: "min" },
    { value: seconds % 60, unit: "s" },
  ];
  return (parts[0]?.value === 0 ? parts.slice(1) : parts).map(({ value, unit }) => ({
    value: unit === "days" ? String(value) : String(value).padStart(2, "0"),
    unit: unit === "days" && value === 1 ? "day" : unit,
  }));
}

/** What `<input type="datetime-local">` shows for a moment: local, to the minute. */
export function writeLocal(ms: number): string {
  const moment = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return `${day}T${two(moment.getHours())}:${two(moment.getMinutes())}`;
}

/** The full hour after the next: what a fresh form proposes. */
export function proposeStart(nowMs: number): string {
  const hour = new Date(nowMs + 2 * 60 * MINUTE_MS);
  hour.setMinutes(0, 0, 0);
  return writeLocal(hour.getTime());
}

/** The moment that was typed, or what is wrong with it. */
export function readLocal(text: string, nowMs: number): { iso: string } | { problem: string } {
  const ms = new Date(text).getTime();
  if (text === "" || Number.isNaN(ms)) return { problem: "Say the day and the time." };
  if (ms <= nowMs) return { problem: "This time has passed." };
  if (ms > nowMs + AHEAD_MAX_MS) return { problem: "At most a year ahead." };
  return { iso: new Date(ms).toISOString() };
}
