/** The list that plays, beside the picture; what plays is marked. */
import { useEffect } from "preact/hooks";
import { api, type Page } from "../kit/api";
import { useLoad } from "../kit/load";
import { VideoCard } from "../videos/card";
import type { Video } from "../videos/shapes";
import { findNext, type Playlist } from "./playlists";
import "./queue.css";

const QUEUE_MAX = 100;

interface Queue {
  playlist: Playlist;
  videos: Video[];
}

interface QueueListProps {
  listId: string;
  videoId: string;
  onNext: (next: Video | null) => void;
}

export function QueueList({ listId, videoId, onNext }: QueueListProps) {
  const queue = useLoad<Queue>(listId, async (signal) => {
    const [playlist, page] = await Promise.all([
      api.get<Playlist>(`/playlists/${listId}`, { signal }),
      api.get<Page<Video>>(`/playlists/${listId}/videos`, { query: { limit: QUEUE_MAX }, signal }),
    ]);
    return { playlist, videos: page.items };
  });
  const next = queue.data ? findNext(queue.data.videos, videoId) : null;
  useEffect(() => onNext(next), [next]);
  if (!queue.data) return null;
  return (
    <aside class="queue card stack" aria-labelledby="queue-title" data-testid="queue">
      <h2 id="queue-title">
        <a class="plain" href={`/playlist/${listId}`}>
          {queue.data.playlist.title}
        </a>
      </h2>
      <ol class="queue-videos">
        {queue.data.videos.map((video) => (
          <li key={video.id} aria-current={video.id === videoId ? "true" : undefined}>
            <VideoCard video={video} compact list={listId} />
          </li>
        ))}
      </ol>
    </aside>
  );
}
