/** Writing a post: words, one's own videos, and who may see it. */
import { useId, useState } from "preact/hooks";
import { api, type Page } from "../kit/api";
import { Avatar } from "../kit/avatar";
import { Dialog } from "../kit/dialog";
import { describeError } from "../kit/errors";
import { Icon } from "../kit/icons";
import { useLoad } from "../kit/load";
import type { SessionUser } from "../kit/session";
import { Failure, Skeleton } from "../kit/states";
import { showToast } from "../kit/toasts";
import { VideoFrame } from "../videos/frame";
import type { Video } from "../videos/shapes";
import { POST_TEXT_MAX, type Post, type PostVisibility } from "./shapes";
import "./composer.css";

const VIDEOS_MAX = 4;
const LEFT_SHOWN = 200;

interface ComposerProps {
  user: SessionUser;
  onPosted: (post: Post) => void;
}

export function Composer({ user, onPosted }: ComposerProps) {
  const id = useId();
  const draft = useDraft(onPosted);
  const [isPicking, setPicking] = useState(false);
  const { text, videos } = draft;
  return (
    <form
      class="composer card"
      aria-label="Write a post"
      onSubmit={(event) => {
        event.preventDefault();
        void draft.send();
      }}
    >
      <div class="composer-words">
        <Avatar user={user} size={42} />
        <label class="visually-hidden" for={id}>
          What is on?
        </label>
        <textarea
          id={id}
          rows={text.length > 80 || text.includes("\n") ? 4 : 2}
          placeholder="What is on?"
          value={text}
          data-testid="post-text"
          onInput={(event) => draft.setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) void draft.send();
          }}
        />
      </div>
      {videos.length > 0 && <Chosen videos={videos} onChange={draft.setVideos} />}
      {draft.problem && (
        <p class="problem" role="alert">
          {draft.problem}
        </p>
      )}
      <ComposerBar draft={draft} onPick={() => setPicking(true)} />
      {isPicking && (
        <VideoPicker
          taken={videos}
          onPick={(video) => {
            draft.setVideos([...videos, video]);
            setPicking(false);
          }}
          onClose={() => setPicking(false)}
        />
      )}
    </form>
  );
}

interface Draft {
  text: string;
  setText: (text: string) => void;
  videos: Video[];
  setVideos: (videos: Video[]) => void;
  visibility: PostVisibility;
  setVisibility: (visibility: PostVisibility) => void;
  isBusy: boolean;
  isReady: boolean;
  left: number;
  problem: string | null;
  send: () => Promise<void>;
}

function useDraft(onPosted: (post: Post) => void): Draft {
  const [text, setText] = useState("");
  const [videos, setVideos] = useState<Video[]>([]);
  const [visibility, setVisibility] = useState<PostVisibility>("public");
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const left = POST_TEXT_MAX - text.length;
  const isReady = (text.trim() !== "" || videos.length > 0) && left >= 0 && !isBusy;
  const send = async () => {
    if (!isReady) return;
    setBusy(true);
    setProblem(null);
    try {
      const body = { text: text.trim(), video_ids: videos.map((video) => video.id), visibility };
      onPosted(await api.post<Post>("/posts", body));
      setText("");
      setVideos([]);
      showToast("Posted.");
    } catch (error) {
      setProblem(describeError(error));
    } finally {
      setBusy(false);
    }
  };
  return {
    text,
    setText,
    videos,
    setVideos,
    visibility,
    setVisibility,
    isBusy,
    isReady,
    left,
    problem,
    send,
  };
}

function ComposerBar({ draft, onPick }: { draft: Draft; onPick: () => void }) {
  return (
    <div class="row spread">
      <div class="row tight">
        <button
          type="button"
          class="button small"
          disabled={draft.videos.length >= VIDEOS_MAX}
          data-testid="post-attach"
          onClick={onPick}
        >
          <Icon name="camera" size={18} /> Add video
        </button>
        <AudienceChoice value={draft.visibility} onChange={draft.setVisibility} />
      </div>
      <div class="row tight">
        {draft.left < LEFT_SHOWN && <span class={draft.left < 0 ? "data problem" : "data muted"}>{draft.left}</span>}
        <button type="submit" class="button primary small" disabled={!draft.isReady} data-testid="post-submit">
          {draft.isBusy ? "Posting…" : "Post"}
        </button>
      </div>
    </div>
  );
}

function AudienceChoice({ value, onChange }: { value: PostVisibility; onChange: (next: PostVisibility) => void }) {
  return (
    <label class="composer-audience">
      <span class="visually-hidden">Who sees it</span>
      <Icon name="eye" size={18} />
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as PostVisibility)}>
        <option value="public">Everyone</option>
        <option value="followers">Followers</option>
        <option value="subscribers">Subscribers</option>
        <option value="private">Only me</option>
      </select>
    </label>
  );
}

function Chosen({ videos, onChange }: { videos: Video[]; onChange: (videos: Video[]) => void }) {
  return (
    <ul class="composer-chosen">
      {videos.map((video) => (
        <li key={video.id}>
          <VideoFrame thumbnail={video.playback?.thumbnail} durationMs={video.duration_ms} />
          <button
            type="button"
            class="icon-button"
            aria-label={`Remove ${video.title}`}
            onClick={() => onChange(videos.filter((known) => known.id !== video.id))}
          >
            <Icon name="close" size={18} />
          </button>
          <span class="clip data">{video.title}</span>
        </li>
      ))}
    </ul>
  );
}

interface PickerProps {
  taken: Video[];
  onPick: (video: Video) => void;
  onClose: () => void;
}

function VideoPicker({ taken, onPick, onClose }: PickerProps) {
  const mine = useLoad<Page<Video>>("mine", (signal) =>
    api.get<Page<Video>>("/videos", { query: { owner: "me", limit: 30 }, signal }),
  );
  const choices = mine.data?.items.filter(
    (video) => video.status !== "failed" && !taken.some((known) => known.id === video.id),
  );
  return (
    <Dialog title="Add one of your videos" onClose={onClose}>
      {mine.error !== null && <Failure error={mine.error} onRetry={mine.reload} />}
      {!mine.data && mine.error === null && <Skeleton shape="row" count={2} />}
      {choices?.length === 0 && (
        <p class="muted">
          There is none yet. <a href="/studio">Upload one in the studio</a>, then come back.
        </p>
      )}
      <ul class="picker">
        {choices?.map((video) => (
          <li key={video.id}>
            <button type="button" data-testid="pick-video" onClick={() => onPick(video)}>
              <VideoFrame thumbnail={video.playback?.thumbnail} durationMs={video.duration_ms} />
              <span class="grow">
                <strong>{video.title}</strong>
                {video.status !== "ready" && <span class="chip busy">{video.status}</span>}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
