/** One of one's own videos: its state, and editing, posting or deleting it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Confirm, Dialog } from "../kit/dialog";
import { waitMs as pause } from "../kit/backoff";
import { ApiError, describeError } from "../kit/errors";
import { Field, TextField } from "../kit/field";
import { Icon } from "../kit/icons";
import { MoreMenu, type MenuAction } from "../kit/menu";
import { Ago } from "../kit/prose";
import { showError, showToast } from "../kit/toasts";
import { isOnItsWay, useVideoProgress } from "../videos/follow_progress";
import { VideoFrame } from "../videos/frame";
import { ProgressBar } from "../videos/progress";
import { waitMs } from "../videos/publication";
import { SeenBy, SeenUntil } from "../videos/seen_by";
import { describePace, describeStatus, isMadeAgain, type Reencoding, type Video } from "../videos/shapes";
import { PictureDialog } from "./picture_dialog";
import { LabelsDialog } from "./labels_dialog";
import { PublishDialog } from "./publish_dialog";
import { ReencodeDialog } from "./reencode_dialog";
import { SubtitlesDialog } from "./subtitles_dialog";
import { WithdrawDialog } from "./withdraw_dialog";
import { VisibilityField } from "./upload_form";

type Opened = "edit" | "labels" | "publish" | "withdraw" | "picture" | "subtitles" | "again" | "delete";

interface VideoRowProps {
  video: Video;
  onChange: (apply: (videos: Video[]) => Video[]) => void;
}

const CHIPS: Partial<Record<Video["status"], string>> = { ready: "chip ready", failed: "chip failed" };

export function VideoRow({ video, onChange }: VideoRowProps) {
  const [open, setOpen] = useState<Opened | null>(null);
  const apply = (part: Partial<Video>) =>
    onChange((videos) => videos.map((known) => (known.id === video.id ? { ...known, ...part } : known)));
  useVideoProgress(video, apply, () => {
    api.get<Video>(`/videos/${video.id}`).then(apply, () => undefined);
  });
  usePublication(video, apply);
  const remove = async () => {
    try {
      await api.delete(`/videos/${video.id}`);
      onChange((videos) => videos.filter((known) => known.id !== video.id));
      showToast("Video deleted.");
    } catch (error) {
      showError(error);
    }
  };
  const close = () => setOpen(null);
  return (
    <li class="studio-row" data-testid="video-card" data-video-id={video.id}>
      <a href={`/watch/${video.id}`} tabIndex={-1} aria-hidden="true">
        <VideoFrame thumbnail={video.playback?.thumbnail} durationMs={video.duration_ms} />
      </a>
      <div class="stack">
        <h3>
          <a class="plain" href={`/watch/${video.id}`}>
            {video.title}
          </a>
        </h3>
        <div class="row tight">
          <span class={CHIPS[video.status] ?? "chip busy"} data-testid="video-status" data-status={video.status}>
            {describeStatus(video)}
          </span>
          <SeenBy video={video} />
          <SeenUntil video={video} />
          <Ago at={video.published_at ?? video.created_at} />
        </div>
        <RowState video={video} />
        <Warnings sentences={video.warnings ?? []} />
      </div>
      <RowWork video={video} onChange={apply} />
      <RowButtons video={video} onOpen={setOpen} />
      {open === "edit" && <EditDialog video={video} onSaved={apply} onClose={close} />}
      {open === "labels" && <LabelsDialog video={video} onSaved={apply} onClose={close} />}
      {open === "again" && <ReencodeDialog video={video} onAsked={apply} onClose={close} />}
      {open === "publish" && <PublishDialog video={video} onSaved={apply} onClose={close} />}
      {open === "withdraw" && <WithdrawDialog video={video} onSaved={apply} onClose={close} />}
      {open === "picture" && <PictureDialog video={video} onSaved={apply} onClose={close} />}
      {open === "subtitles" && <SubtitlesDialog video={video} onClose={close} />}
      {open === "delete" && (
        <Confirm
          title={`Delete “${video.title}”?`}
          text={
            video.status === "uploading"
              ? "What has arrived of it is removed."
              : "It disappears at once, also from the posts that show it. For a while it can be restored from the trash."
          }
          action="Delete video"
          onConfirm={remove}
          onClose={close}
        />
      )}
    </li>
  );
}

/** Asks again what became of a video whose time has come. */
function usePublication(video: Video, onChange: (part: Partial<Video>) => void) {
  const at = video.publication?.at ?? video.withdrawal?.at;
  const change = useRef(onChange);
  change.current = onChange;
  useEffect(() => {
    if (at === undefined) return undefined;
    const ask = () => api.get<Video>(`/videos/${video.id}`).then((found) => change.current(found), () => undefined);
    const timer = setTimeout(() => void ask(), waitMs(at, Date.now()));
    return () => clearTimeout(timer);
  }, [video.id, at]);
}

const STOPPING_TRIES_MAX = 10;
const STOPPING_PAUSE_MS = 2_000;

/** Has a video tried again; what was stopped a moment ago takes some seconds to end. */
async function retry(id: string): Promise<Video> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await api.post<Video>(`/videos/${id}/retry`, {});
    } catch (error) {
      const isStopping = error instanceof ApiError && error.code === "video_still_stopping";
      if (!isStopping || tries === STOPPING_TRIES_MAX) throw error;
      await pause(STOPPING_PAUSE_MS);
    }
  }
}

/** Stops the work on a video, or has it tried again. */
function RowWork({ video, onChange }: { video: Video; onChange: (part: Partial<Video>) => void }) {
  const [isBusy, setBusy] = useState(false);
  const isInWork = video.status === "queued" || video.status === "processing" || isMadeAgain(video);
  const mayRetry = video.status === "failed" && video.error?.code !== "upload_expired";
  if (!isInWork && !mayRetry) return null;
  const act = async () => {
    setBusy(true);
    try {
      onChange(await (isInWork ? api.post<Video>(`/videos/${video.id}/cancel`, {}) : retry(video.id)));
    } catch (error) {
      showError(error);
    }
    setBusy(false);
  };
  return (
    <button
      type="button"
      class="button small"
      aria-disabled={isBusy}
      onClick={() => void (isBusy || act())}
      data-testid="video-work"
    >
      {isInWork ? (isMadeAgain(video) ? "Stop the new version" : "Stop") : "Try again"}
    </button>
  );
}

function RowButtons({ video, onOpen }: { video: Video; onOpen: (open: Opened) => void }) {
  const { title, status } = video;
  const isOver = status === "ready" || status === "failed";
  const again: MenuAction[] = [{ name: "Make it again", icon: "retry", onChoose: () => onOpen("again"), testId: "again" }];
  return (
    <div class="row-buttons">
      <button type="button" class="button small" aria-label={`Edit ${title}`} onClick={() => onOpen("edit")}>
        <Icon name="edit" size={18} /> Edit
      </button>
      <a class="button small" href={`/studio/video/${video.id}`} aria-label={`Numbers of ${title}`}>
        <Icon name="chart" size={18} /> Numbers
      </a>
      <MoreMenu
        of={title}
        actions={[
          { name: "Publication", icon: "clock", onChoose: () => onOpen("publish"), testId: "publication" },
          { name: "Available until", icon: "eye", onChoose: () => onOpen("withdraw"), testId: "withdrawal" },
          { name: "Tags and chapters", icon: "tag", onChoose: () => onOpen("labels") },
          { name: "Picture", icon: "inset", onChoose: () => onOpen("picture") },
          { name: "Subtitles", icon: "captions", onChoose: () => onOpen("subtitles") },
          ...(isOver ? again : []),
          { name: "Delete", icon: "trash", onChoose: () => onOpen("delete"), isGrave: true },
        ]}
      />
    </div>
  );
}

function RowState({ video }: { video: Video }) {
  if (video.status === "failed") {
    return <p class="problem">{video.error?.message ?? "The file could not be read."}</p>;
  }
  if (video.status === "uploading") {
    return <p class="data muted">Not all of it has arrived. What you were sending goes on when you choose the same file again.</p>;
  }
  if (isOnItsWay(video)) {
    return (
      <>
        <ProgressBar share={video.progress} label={`Processing of ${video.title}`} />
        {video.status === "processing" && <p class="data muted">{describePace(video)}</p>}
      </>
    );
  }
  const missing = video.playback?.left_out?.find((one) => one.what === "download");
  if (video.reencoding) return <AnotherVersion title={video.title} reencoding={video.reencoding} />;
  return missing ? <p class="data muted">No file to download. {missing.message}</p> : null;
}

/** What of the file nobody will see or hear, or not as it was. */
function Warnings({ sentences }: { sentences: readonly string[] }) {
  if (sentences.length === 0) return null;
  return (
    <ul class="data muted" data-testid="video-warnings">
      {sentences.map((sentence) => (
        <li key={sentence}>{sentence}</li>
      ))}
    </ul>
  );
}

/** How far the next version of a video is that plays, or why there is none. */
function AnotherVersion({ title, reencoding }: { title: string; reencoding: Reencoding }) {
  if (reencoding.status === "failed") {
    return <p class="problem">A new version could not be made; the one before plays on. {reencoding.error}</p>;
  }
  const words = reencoding.status === "queued" ? "A new version waits for its turn" : "A new version is made";
  return (
    <div class="stack" data-testid="another-version">
      <ProgressBar share={reencoding.progress} label={`New version of ${title}`} />
      <p class="data muted">
        {words}
        {reencoding.status === "processing" && `: ${describePace(reencoding)}`}
      </p>
    </div>
  );
}

interface EditProps {
  video: Video;
  onSaved: (part: Partial<Video>) => void;
  onClose: () => void;
}

function EditDialog({ video, onSaved, onClose }: EditProps) {
  const [title, setTitle] = useState(video.title);
  const [description, setDescription] = useState(video.description ?? "");
  const [visibility, setVisibility] = useState(video.visibility);
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    try {
      const shown = video.publication ? {} : { visibility };
      onSaved(await api.patch<Video>(`/videos/${video.id}`, { title: title.trim(), description, ...shown }));
      onClose();
    } catch (error) {
      setProblem(describeError(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title="Edit video" onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <TextField label="Title" problem={problem} required maxLength={200} value={title} onChange={setTitle} />
        <Field label="Description">
          {(props) => (
            <textarea
              {...props}
              class="input"
              maxLength={5000}
              value={description}
              onInput={(event) => setDescription(event.currentTarget.value)}
            />
          )}
        </Field>
        {!video.publication && <VisibilityField value={visibility} onChange={setVisibility} />}
        <div class="row dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary" disabled={isBusy || title.trim() === ""}>
            Save
          </button>
        </div>
      </form>
    </Dialog>
  );
}
