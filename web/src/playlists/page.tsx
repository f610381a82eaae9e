/** One playlist: its videos in order; its owner moves them by drag or with buttons, renames it, deletes it. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { nameOf } from "../kit/avatar";
import { Confirm } from "../kit/dialog";
import { ApiError } from "../kit/errors";
import { Icon } from "../kit/icons";
import { useLoad, usePages, type Loaded } from "../kit/load";
import { navigate, useTitle } from "../kit/router";
import { currentUser } from "../kit/session";
import { shareAddress } from "../kit/share";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { useStore } from "../kit/store";
import { showError } from "../kit/toasts";
import { formatNoun } from "../kit/words";
import type { PageProps } from "../shell/routes";
import type { Video } from "../videos/shapes";
import { EditDialog } from "./edit_dialog";
import type { Playlist } from "./playlists";
import { PlaylistRows } from "./rows";

const PAGE_SIZE = 100;

export default function PlaylistPage({ parameters }: PageProps) {
  const id = parameters["playlist"] ?? "";
  const me = useStore(currentUser);
  const list = useLoad<Playlist>(id, (signal) => api.get<Playlist>(`/playlists/${id}`, { signal }));
  const videos = usePages<Video>(`/playlists/${id}/videos`, { limit: PAGE_SIZE });
  useTitle(list.data?.title ?? null);
  if (list.error !== null && list.data === null) {
    const isGone = list.error instanceof ApiError && (list.error.status === 404 || list.error.status === 422);
    return (
      <div class="page narrow">
        <Failure
          level={1}
          title={isGone ? "This playlist is not here" : "The playlist did not load"}
          error={isGone ? new ApiError("not_found", 404, "It may be private or deleted.") : list.error}
          {...(isGone ? {} : { onRetry: list.reload })}
        />
      </div>
    );
  }
  const isOwn = list.data !== null && me?.id === list.data.owner.id;
  return (
    <div class="page narrow">
      {list.data ? <Head list={list} isOwn={isOwn} first={videos.items[0]} /> : <Skeleton shape="line" />}
      {videos.items.length > 0 && (
        <PlaylistRows
          playlistId={id}
          videos={videos}
          isOwn={isOwn}
          onRemoved={() => list.change((known) => ({ ...known, videos: known.videos - 1 }))}
        />
      )}
      {videos.loading && videos.items.length === 0 && <Skeleton shape="row" count={3} />}
      {videos.error !== null && videos.items.length === 0 && <Failure error={videos.error} onRetry={videos.reload} />}
      {!videos.loading && videos.error === null && videos.items.length === 0 && (
        <Empty title="Nothing in it yet">
          <p class="muted">Save videos from their own pages.</p>
        </Empty>
      )}
      <ListEnd pages={videos} />
    </div>
  );
}

function Head({ list, isOwn, first }: { list: Loaded<Playlist>; isOwn: boolean; first: Video | undefined }) {
  const [open, setOpen] = useState<"edit" | "delete" | null>(null);
  const known = list.data;
  if (!known) return null;
  const remove = async () => {
    try {
      await api.delete(`/playlists/${known.id}`);
      navigate("/library", true);
    } catch (error) {
      showError(error);
    }
  };
  const isMade = known.kind === "made";
  return (
    <header class="stack">
      <h1>{known.title}</h1>
      <p class="data muted">
        <a class="plain" href={`/u/${known.owner.username}`}>
          {nameOf(known.owner)}
        </a>{" "}
        / {formatNoun(known.videos, "video")} <span class="chip">{known.visibility}</span>
      </p>
      {known.description && <p class="prose">{known.description}</p>}
      <div class="row tight">
        {first && (
          <a class="button primary small" href={`/watch/${first.id}?list=${known.id}`}>
            <Icon name="play" size={18} /> Play all
          </a>
        )}
        {known.visibility !== "private" && (
          <button type="button" class="button small" onClick={() => shareAddress(known.title)}>
            <Icon name="share" size={18} /> Share
          </button>
        )}
        {isOwn && isMade && (
          <>
            <button type="button" class="button small" onClick={() => setOpen("edit")}>
              <Icon name="edit" size={18} /> Edit
            </button>
            <button type="button" class="button small" onClick={() => setOpen("delete")}>
              <Icon name="trash" size={18} /> Delete
            </button>
          </>
        )}
      </div>
      {open === "edit" && (
        <EditDialog list={known} onSaved={(next) => list.change(() => next)} onClose={() => setOpen(null)} />
      )}
      {open === "delete" && (
        <Confirm
          title={`Delete “${known.title}”?`}
          text="The videos in it stay."
          action="Delete playlist"
          onConfirm={remove}
          onClose={() => setOpen(null)}
        />
      )}
    </header>
  );
}
