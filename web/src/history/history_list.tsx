/** The history: watched last comes first; single videos can be taken out, all of it cleared or paused. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { Confirm } from "../kit/dialog";
import { Icon } from "../kit/icons";
import { useLoad, usePages, type Pages } from "../kit/load";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { showError, showToast } from "../kit/toasts";
import { VideoCard } from "../videos/card";
import { measureWatched, type WatchedVideo } from "./history";
import "./history_list.css";

export function HistoryList() {
  const pages = usePages<WatchedVideo>("/history");
  return (
    <section class="stack loose" aria-labelledby="history-title">
      <div class="row spread">
        <h2 id="history-title">History</h2>
        <HistoryTools pages={pages} />
      </div>
      <HistoryRows pages={pages} />
      <ListEnd pages={pages} />
    </section>
  );
}

function HistoryTools({ pages }: { pages: Pages<WatchedVideo> }) {
  const settings = useLoad<{ paused: boolean }>("settings", (signal) => api.get("/history/settings", { signal }));
  const [isAsking, setAsking] = useState(false);
  const paused = settings.data?.paused ?? false;
  const pause = async () => {
    try {
      const answer = await api.put<{ paused: boolean }>("/history/settings", { paused: !paused });
      settings.change(() => answer);
    } catch (error) {
      showError(error);
    }
  };
  const clear = async () => {
    try {
      await api.delete("/history");
      pages.change(() => []);
      showToast("History cleared.");
    } catch (error) {
      showError(error);
    }
  };
  return (
    <div class="row tight">
      <button
        type="button"
        class="button small"
        aria-pressed={paused}
        disabled={settings.data === null}
        data-testid="history-pause"
        onClick={pause}
      >
        <Icon name={paused ? "play" : "pause"} size={18} /> {paused ? "Paused" : "Pause"}
        <span class="visually-hidden"> the history</span>
      </button>
      <button
        type="button"
        class="button small"
        disabled={pages.items.length === 0}
        data-testid="history-clear"
        onClick={() => setAsking(true)}
      >
        <Icon name="trash" size={18} /> Clear
      </button>
      {isAsking && (
        <Confirm
          title="Clear your history?"
          text="What you watched is forgotten, and every video begins anew."
          action="Clear history"
          onConfirm={clear}
          onClose={() => setAsking(false)}
        />
      )}
    </div>
  );
}

function HistoryRows({ pages }: { pages: Pages<WatchedVideo> }) {
  if (pages.items.length === 0) {
    if (pages.error !== null) return <Failure error={pages.error} onRetry={pages.reload} />;
    if (pages.loading) return <Skeleton shape="row" count={3} />;
    return (
      <Empty title="Nothing watched yet">
        <p class="muted">Videos that you watch appear here, and go on where you left them on any device.</p>
      </Empty>
    );
  }
  const forget = async (entry: WatchedVideo) => {
    try {
      await api.delete(`/history/${entry.id}`);
      pages.change((items) => items.filter((item) => item.id !== entry.id));
    } catch (error) {
      showError(error);
    }
  };
  return (
    <ul class="history-rows">
      {pages.items.map((entry) => (
        <li key={entry.id} class="history-row" data-testid="history-row">
          <VideoCard video={entry.video} compact watched={measureWatched(entry)} />
          <button
            type="button"
            class="icon-button"
            aria-label={`Take ${entry.video.title} out of the history`}
            onClick={() => void forget(entry)}
          >
            <Icon name="close" size={20} />
          </button>
        </li>
      ))}
    </ul>
  );
}
