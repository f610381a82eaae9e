/** What one began to watch and has not finished, as a strip. Shows nothing when there is nothing. */
import { api, type Page } from "../kit/api";
import { useLoad } from "../kit/load";
import { VideoCard } from "../videos/card";
import { measureWatched, type WatchedVideo } from "./history";
import "./continue_watching.css";

const SHOWN = 8;

export function ContinueWatching() {
  const begun = useLoad<Page<WatchedVideo>>("begun", (signal) =>
    api.get<Page<WatchedVideo>>("/history", { query: { unfinished: "true", limit: SHOWN }, signal }),
  );
  if (!begun.data || begun.data.items.length === 0) return null;
  return (
    <section class="stack" aria-labelledby="continue-title" data-testid="continue-watching">
      <div class="row spread">
        <h2 id="continue-title">Continue watching</h2>
        <a class="data" href="/library">
          History
        </a>
      </div>
      <div class="watch-strip">
        {begun.data.items.map((entry) => (
          <VideoCard key={entry.id} video={entry.video} watched={measureWatched(entry)} />
        ))}
      </div>
    </section>
  );
}
