/** Watching a video: the picture first, then what it is and whose, then what to watch next. */
import { useCallback } from "preact/hooks";
import { api, type Page } from "../kit/api";
import { Avatar, nameOf } from "../kit/avatar";
import { ApiError } from "../kit/errors";
import { Icon } from "../kit/icons";
import { useLoad } from "../kit/load";
import { Ago, RichText } from "../kit/prose";
import { useTitle } from "../kit/router";
import { currentUser } from "../kit/session";
import { shareAddress } from "../kit/share";
import { Failure, Skeleton } from "../kit/states";
import { useStore } from "../kit/store";
import { tellPosition } from "../history/history";
import { preloadEngine } from "../player/engine";
import { Player } from "../player/player";
import { FollowButton } from "../profile/follow_button";
import type { PageProps } from "../shell/routes";
import { VideoCard } from "./card";
import { useVideoProgress } from "./follow_progress";
import { MoreToCome, ProgressPanel } from "./progress";
import { isPlayable, type Video } from "./shapes";
import "./watch_page.css";

const NEXT_COUNT = 12;

preloadEngine();

export default function WatchPage({ parameters }: PageProps) {
  const id = parameters["video"] ?? "";
  const video = useLoad<Video>(id, (signal) => api.get<Video>(`/videos/${id}`, { signal }));
  useTitle(video.data?.title ?? null);
  useVideoProgress(video.data, (change) => video.change((known) => ({ ...known, ...change })), video.reload);
  if (video.error !== null && video.data === null) return <Missing error={video.error} onRetry={video.reload} />;
  return (
    <div class="page watch">
      <div class="watch-picture">{video.data ? <Picture video={video.data} /> : <div class="player" />}</div>
      <div class="stack">{video.data ? <About video={video.data} /> : <Skeleton shape="line" />}</div>
      <Next id={id} />
    </div>
  );
}

function Missing({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  const isGone = error instanceof ApiError && (error.status === 404 || error.status === 403);
  return (
    <div class="page narrow">
      <Failure
        level={1}
        title={isGone ? "This video is not here" : "The video did not load"}
        error={isGone ? new ApiError("not_found", 404, "It may be private or removed.") : error}
        {...(isGone ? {} : { onRetry })}
      />
    </div>
  );
}

function Picture({ video }: { video: Video }) {
  const me = useStore(currentUser);
  const renew = useCallback(
    async () => (await api.get<Video>(`/videos/${video.id}`)).playback?.hls ?? null,
    [video.id],
  );
  if (!isPlayable(video)) return <ProgressPanel video={video} />;
  const isComplete = video.status !== "processing";
  return (
    <>
      <Player
        source={video.playback?.hls ?? ""}
        title={video.title}
        poster={video.playback?.thumbnail}
        storyboard={video.playback?.storyboard}
        waveform={video.playback?.waveform}
        isComplete={isComplete}
        renew={renew}
        startS={(video.resume_ms ?? 0) / 1000}
        onPosition={me ? (positionS) => tellPosition(video.id, positionS) : undefined}
      />
      {!isComplete && <MoreToCome video={video} />}
    </>
  );
}

function About({ video }: { video: Video }) {
  const me = useStore(currentUser);
  return (
    <>
      <div class="stack">
        <h1>{video.title}</h1>
        <div class="row spread">
          <div class="row tight">
            <a class="row tight plain" href={`/u/${video.owner.username}`}>
              <Avatar user={video.owner} size={44} />
              <span class="watch-owner">
                <strong>{nameOf(video.owner)}</strong>
                <span class="data muted">@{video.owner.username}</span>
              </span>
            </a>
            {me?.id !== video.owner.id && <FollowButton username={video.owner.username} />}
          </div>
          <div class="row tight">
            {video.playback?.download && (
              <a class="button small" href={video.playback.download} data-testid="download">
                <Icon name="download" size={18} /> <span class="wide-label">Download</span>
              </a>
            )}
            <button type="button" class="button small" onClick={() => shareAddress(video.title)}>
              <Icon name="share" size={18} /> <span class="wide-label">Share</span>
            </button>
          </div>
        </div>
      </div>
      <div class="watch-words">
        <p class="data muted">
          <Ago at={video.created_at} />
          {video.visibility !== "public" && <span class="chip">{video.visibility}</span>}
        </p>
        {video.description && (
          <p class="prose">
            <RichText text={video.description} />
          </p>
        )}
      </div>
    </>
  );
}

function Next({ id }: { id: string }) {
  const videos = useLoad<Page<Video>>("next", (signal) =>
    api.get<Page<Video>>("/videos", { query: { limit: NEXT_COUNT }, signal }),
  );
  const items = videos.data?.items.filter((video) => video.id !== id) ?? [];
  if (videos.error !== null || (videos.data && items.length === 0)) return null;
  return (
    <aside class="stack watch-next" aria-label="More videos">
      <h2>Watch next</h2>
      {videos.data ? (
        items.map((video) => <VideoCard key={video.id} video={video} compact />)
      ) : (
        <Skeleton shape="row" count={3} />
      )}
    </aside>
  );
}
