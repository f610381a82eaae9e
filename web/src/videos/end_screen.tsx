/** What a player shows at the end: the next video of the list, or related ones, and playing again. */
import { Icon } from "../kit/icons";
import { VideoFrame } from "./frame";
import type { Video } from "./shapes";
import "./end_screen.css";

const SHOWN = 4;

interface EndScreenProps {
  videos: readonly Video[];
  list: string | null;
  onAgain: () => void;
}

export function EndScreen({ videos, list, onAgain }: EndScreenProps) {
  return (
    <div class="end-screen" data-testid="end-screen">
      <button type="button" class="button" onClick={onAgain}>
        <Icon name="retry" size={18} /> Play again
      </button>
      <ul>
        {videos.slice(0, SHOWN).map((video) => (
          <li key={video.id}>
            <a class="plain" href={`/watch/${video.id}${list ? `?list=${list}` : ""}`}>
              <VideoFrame thumbnail={video.playback?.thumbnail} durationMs={video.duration_ms} />
              <span class="clip">{video.title}</span>
            </a>
          </li>
        ))}
      </ul>
    </div>
  );
}
