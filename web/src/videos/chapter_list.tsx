/** The chapters below a player: each a button that goes there. */
import type { PlayerHandle } from "../player/player";
import { formatDuration } from "../kit/words";
import type { Chapter } from "./shapes";
import "./chapter_list.css";

interface ChapterListProps {
  chapters: readonly Chapter[];
  player: { current: PlayerHandle | null };
}

export function ChapterList({ chapters, player }: ChapterListProps) {
  if (chapters.length === 0) return null;
  return (
    <details class="chapter-list" data-testid="chapters">
      <summary>Chapters</summary>
      <ol>
        {chapters.map((chapter) => (
          <li key={chapter.start_ms}>
            <button type="button" onClick={() => player.current?.seek(chapter.start_ms / 1000)}>
              <span class="data">{formatDuration(chapter.start_ms / 1000)}</span> {chapter.title}
            </button>
          </li>
        ))}
      </ol>
    </details>
  );
}
