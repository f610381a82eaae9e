/** Chapters on the scrub bar, and which one a moment is in. */
import type { Chapter } from "../videos/shapes";

/** The last chapter that begins at or before the moment. */
export function findChapter(chapters: readonly Chapter[], atS: number): Chapter | null {
  let found: Chapter | null = null;
  for (const chapter of chapters) if (chapter.start_ms <= atS * 1000) found = chapter;
  return found;
}

/** Gaps in the line where chapters begin. Decorative: the slider says the chapter's name. */
export function ChapterMarks({ chapters, durationS }: { chapters: readonly Chapter[]; durationS: number }) {
  if (durationS === 0 || chapters.length < 2) return null;
  return (
    <span class="chapter-marks" aria-hidden="true">
      {chapters
        .filter((chapter) => chapter.start_ms > 0 && chapter.start_ms < durationS * 1000)
        .map((chapter) => (
          <i key={chapter.start_ms} style={{ "--at": `${chapter.start_ms / durationS / 10}%` }} />
        ))}
    </span>
  );
}
