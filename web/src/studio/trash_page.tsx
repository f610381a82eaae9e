/** The trash: one's own deleted videos, which can be had back until their bytes go, or be deleted for good. */
import { useRef, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Confirm } from "../kit/dialog";
import { Icon } from "../kit/icons";
import { usePages } from "../kit/load";
import { Ago } from "../kit/prose";
import { useTitle } from "../kit/router";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { showError, showToast } from "../kit/toasts";
import { formatBytes } from "../kit/words";
import { VideoFrame } from "../videos/frame";
import { describeEnd, describeLoss, isNotInTrash, replaceTrashed, type TrashedVideo } from "./trash";
import { useTrashLooks } from "./trash_looks";
import "./page.css";

export default function TrashPage() {
  useTitle("Trash");
  const pages = usePages<TrashedVideo>("/trash");
  const title = useRef<HTMLHeadingElement>(null);
  const [asked, setAsked] = useState<string | null>(null);
  const looks = useTrashLooks(pages, asked !== null, () => title.current?.focus());
  const drop = (id: string) => {
    looks.forget();
    pages.change((videos) => videos.filter((video) => video.id !== id));
    title.current?.focus(); // what had the focus is gone
  };
  const replace = (changed: TrashedVideo) => {
    looks.forget();
    pages.change((videos) => replaceTrashed(videos, changed));
  };
  const ask = (id: string | null) => {
    looks.forget(); // what the dialog is about stays as it is
    setAsked(id);
  };
  return (
    <div class="page studio">
      <header class="page-head full">
        <h1>Trash</h1>
        <a class="button" href="/studio">
          Back to the studio
        </a>
      </header>
      <section class="stack full" aria-labelledby="trash">
        <h2 id="trash" ref={title} tabIndex={-1}>
          Deleted videos
        </h2>
        <p class="muted">They take up room until they are removed, and can be restored until then.</p>
        {pages.error !== null && pages.items.length === 0 && <Failure error={pages.error} onRetry={pages.reload} />}
        {pages.loading && pages.items.length === 0 && <Skeleton shape="row" count={3} />}
        {!pages.loading && pages.error === null && pages.items.length === 0 && !pages.hasMore && (
          <Empty title="Nothing here">
            <p class="muted">Videos that you delete are kept here for a while.</p>
          </Empty>
        )}
        <ul class="studio-rows">
          {pages.items.map((video) => (
            <TrashRow
              key={video.id}
              video={video}
              isAsking={asked === video.id}
              onAsk={(isAsking) => ask(isAsking ? video.id : null)}
              onGone={drop}
              onChange={replace}
            />
          ))}
        </ul>
        <ListEnd pages={pages} />
      </section>
    </div>
  );
}

interface RowProps {
  video: TrashedVideo;
  /** Whether its confirmation is open. */
  isAsking: boolean;
  onAsk: (isAsking: boolean) => void;
  onGone: (id: string) => void;
  onChange: (changed: TrashedVideo) => void;
}

function TrashRow({ video, isAsking, onAsk, onGone, onChange }: RowProps) {
  const [isBusy, setBusy] = useState(false);
  const row = useRef<HTMLLIElement>(null);
  const act = async (work: () => Promise<void>) => {
    if (isBusy) return;
    setBusy(true);
    try {
      await work();
    } catch (error) {
      if (!isNotInTrash(error)) return showError(error);
      onGone(video.id);
      showToast(`“${video.title}” is no longer in the trash.`);
    } finally {
      setBusy(false);
    }
  };
  const restore = async () => {
    await api.post(`/trash/${video.id}/restore`, {});
    onGone(video.id);
    showToast(`“${video.title}” is back.`);
  };
  const deleteForGood = async () => {
    onChange(await api.delete<TrashedVideo>(`/trash/${video.id}`));
    row.current?.focus(); // its buttons are gone
  };
  return (
    <li ref={row} tabIndex={-1} class="studio-row" data-testid="trash-row" data-video-id={video.id}>
      <VideoFrame thumbnail={null} durationMs={video.duration_ms} />
      <div class="stack">
        <h3>{video.title}</h3>
        <div class="row tight">
          <span class={video.is_final ? "chip busy" : "chip"} data-testid="trash-end">
            {describeEnd(video, Date.now())}
          </span>
          {video.size_bytes > 0 && <span class="data muted">{formatBytes(video.size_bytes)}</span>}
          <span class="data muted">
            Deleted <Ago at={video.deleted_at} />
          </span>
        </div>
      </div>
      {!video.is_final && (
        <div class="row-buttons">
          {video.is_restorable && (
            <button
              type="button"
              class="button small"
              aria-disabled={isBusy}
              data-testid="restore"
              onClick={() => void act(restore)}
            >
              <Icon name="retry" size={18} /> Restore<span class="visually-hidden"> {video.title}</span>
            </button>
          )}
          <button
            type="button"
            class="button small"
            aria-disabled={isBusy}
            data-testid="delete-for-good"
            onClick={() => !isBusy && onAsk(true)}
          >
            <Icon name="trash" size={18} /> Delete for good<span class="visually-hidden">: {video.title}</span>
          </button>
        </div>
      )}
      {isAsking && (
        <Confirm
          title={`Delete “${video.title}” for good?`}
          text={describeLoss(video)}
          action="Delete for good"
          onConfirm={() => void act(deleteForGood)}
          onClose={() => onAsk(false)}
        />
      )}
    </li>
  );
}
