/** Numbers, times and sizes as words. Pure; the present moment comes in as an argument. */

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const DAY = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" });
const CLOCK = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hour12: false });

/** "3 minutes ago", within a week; after that the date. */
export function formatAgo(iso: string, nowMs: number): string {
  const thenMs = Date.parse(iso);
  if (Number.isNaN(thenMs)) return "";
  const seconds = Math.round((thenMs - nowMs) / 1000);
  const past = Math.abs(seconds);
  if (past < 45) return "just now";
  if (past < 3_600) return RELATIVE.format(Math.round(seconds / 60) || -1, "minute");
  if (past < 86_400) return RELATIVE.format(Math.round(seconds / 3_600), "hour");
  if (past < 7 * 86_400) return RELATIVE.format(Math.round(seconds / 86_400), "day");
  return DAY.format(thenMs);
}

/** "21:07", in the reader's own time zone. */
export function formatClock(iso: string): string {
  const ms = Date.parse(iso);
  return Number.isNaN(ms) ? "" : CLOCK.format(ms);
}

/** Nearer to the end than a picture lasts is there. */
const END_S = 0.05;

/** "1:02:03" or "4:05". */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** How long something is: "0:04" of 3.97 seconds, whose last picture is at 3.93. */
export function formatLength(seconds: number): string {
  return formatDuration(Math.round(seconds));
}

/** Where something plays that is so long; at its end it is as far as it is long. */
export function formatPosition(atS: number, lengthS: number): string {
  return lengthS > 0 && lengthS - atS < END_S ? formatLength(lengthS) : formatDuration(atS);
}

/** How long something will still take, in the largest unit that fits. */
export function formatLeft(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

/** "1.2K"; small numbers stay exact. */
export function formatCount(count: number): string {
  return count < 1000 ? String(count) : COMPACT.format(count);
}

/** "1 follower", "2 followers". */
export function formatNoun(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1_000_000) return `${Math.max(1, Math.round(bytes / 1000))} kB`;
  if (bytes < 1_000_000_000) return `${(bytes / 1_000_000).toFixed(1)} MB`;
  return `${(bytes / 1_000_000_000).toFixed(2)} GB`;
}

export function formatBitrate(bps: number): string {
  return bps < 1_000_000 ? `${Math.round(bps / 1000)} kbit/s` : `${(bps / 1_000_000).toFixed(1)} Mbit/s`;
}

export type TextPiece = { kind: "text" | "mention" | "link"; text: string };

const MARKS = /(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]|(?<![\w/@])@[a-z0-9_]{2,32})/gi;

/** Cuts a text into plain pieces, @mentions and web addresses. */
export function splitText(text: string): TextPiece[] {
  const pieces: TextPiece[] = [];
  let end = 0;
  for (const match of text.matchAll(MARKS)) {
    if (match.index > end) pieces.push({ kind: "text", text: text.slice(end, match.index) });
    pieces.push({ kind: match[0].startsWith("@") ? "mention" : "link", text: match[0] });
    end = match.index + match[0].length;
  }
  if (end < text.length) pieces.push({ kind: "text", text: text.slice(end) });
  return pieces;
}
