/** Keeps a video: to watch later, or in any of one's playlists. */
import { useEffect, useState } from "preact/hooks";
import { api, type Page } from "../kit/api";
import { Dialog } from "../kit/dialog";
import { describeError } from "../kit/errors";
import { TextField } from "../kit/field";
import { Icon } from "../kit/icons";
import { useLoad } from "../kit/load";
import { location, navigate } from "../kit/router";
import { currentUser } from "../kit/session";
import { Failure, Skeleton } from "../kit/states";
import { useStore } from "../kit/store";
import { showError } from "../kit/toasts";
import { placeVideo, removeVideo, type Playlist } from "./playlists";
import "./save_button.css";

const LISTS_SHOWN = 100;

export function SaveButton({ videoId }: { videoId: string }) {
  const me = useStore(currentUser);
  const [isOpen, setOpen] = useState(false);
  const open = () => {
    if (!me) return navigate(`/login?next=${encodeURIComponent(location.get().path)}`);
    setOpen(true);
  };
  return (
    <>
      <button type="button" class="button small" data-testid="save" onClick={open}>
        <Icon name="list" size={18} /> <span class="wide-label">Save</span>
      </button>
      {isOpen && <SaveDialog videoId={videoId} onClose={() => setOpen(false)} />}
    </>
  );
}

function SaveDialog({ videoId, onClose }: { videoId: string; onClose: () => void }) {
  const lists = useLoad<Page<Playlist>>(videoId, async (signal) => {
    await api.put("/playlists/watch-later", {});
    return api.get<Page<Playlist>>("/playlists", { query: { video_id: videoId, limit: LISTS_SHOWN }, signal });
  });
  const note = (changed: Playlist) =>
    lists.change((page) => ({
      ...page,
      items: page.items.some((known) => known.id === changed.id)
        ? page.items.map((known) => (known.id === changed.id ? changed : known))
        : [changed, ...page.items],
    }));
  const toggle = async (list: Playlist) => {
    note({ ...list, has_video: !list.has_video });
    try {
      if (list.has_video) await removeVideo(list.id, videoId);
      else note(await placeVideo(list.id, videoId));
    } catch (error) {
      note(list);
      showError(error);
    }
  };
  const items = lists.data ? [...lists.data.items].sort((a, b) => rankKind(a) - rankKind(b)) : [];
  return (
    <Dialog title="Save to" onClose={onClose}>
      {lists.error !== null && <Failure error={lists.error} onRetry={lists.reload} />}
      {lists.loading && !lists.data && <Skeleton shape="line" count={2} />}
      <ul class="save-lists">
        {items.map((list) => (
          <li key={list.id}>
            <label class="row tight">
              <input type="checkbox" checked={list.has_video} onChange={() => void toggle(list)} />
              <span class="grow clip">{list.title}</span>
              <span class="data muted">{list.visibility}</span>
            </label>
          </li>
        ))}
      </ul>
      <NewList onMade={(list) => void toggle(list)} />
    </Dialog>
  );
}

function rankKind(list: Playlist): number {
  return list.kind === "watch_later" ? 0 : 1;
}

function NewList({ onMade }: { onMade: (list: Playlist) => void }) {
  const [title, setTitle] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => setProblem(null), [title]);
  const make = async () => {
    try {
      onMade(await api.post<Playlist>("/playlists", { title: title.trim() }));
      setTitle("");
    } catch (error) {
      setProblem(describeError(error));
    }
  };
  return (
    <form
      class="new-list"
      onSubmit={(event) => {
        event.preventDefault();
        void make();
      }}
    >
      <TextField label="New playlist" maxLength={150} problem={problem} value={title} onChange={setTitle} />
      <button type="submit" class="button" disabled={title.trim() === ""}>
        Create
      </button>
    </form>
  );
}
