/** Labels of a video as text in a form, and back. Pure. */
import { formatDuration } from "../kit/words";
import type { Chapter } from "../videos/shapes";

export const CATEGORIES = [
  "art",
  "comedy",
  "education",
  "film",
  "food",
  "games",
  "howto",
  "music",
  "nature",
  "news",
  "people",
  "science",
  "sport",
  "technology",
  "travel",
] as const;

export function readTags(text: string): string[] {
  return text
    .split(",")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "");
}

export function writeChapters(chapters: readonly Chapter[]): string {
  return chapters.map((chapter) => `${formatDuration(chapter.start_ms / 1000)} ${chapter.title}`).join("\n");
}

const LINE = /^(?:(\d{1,3}):)?(\d{1,2}):([0-5]\d)\s+(\S.*)$/;

/** Null when a line is not a time and a title. */
export function readChapters(text: string): Chapter[] | null {
  const chapters: Chapter[] = [];
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const parts = LINE.exec(line.trim());
    if (!parts) return null;
    const [hours, minutes, seconds] = [1, 2, 3].map((group) => Number(parts[group] ?? 0));
    const startS = (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0);
    chapters.push({ start_ms: startS * 1000, title: parts[4] ?? "" });
  }
  return chapters;
}
