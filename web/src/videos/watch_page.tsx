/** Watching a video: the picture first, then what it is and whose, then what to watch next. */
import { useCallback, useRef, useState } from "preact/hooks";
import { Comments } from "../comments/comments";
import { api } from "../kit/api";
import { Avatar, nameOf } from "../kit/avatar";
import { ApiError } from "../kit/errors";
import { useLoad, type Loaded } from "../kit/load";
import { useChannel } from "../kit/realtime";
import { Ago, RichText } from "../kit/prose";
import { navigate, previousPath, useTitle } from "../kit/router";
import { currentUser } from "../kit/session";
import { Failure, Skeleton } from "../kit/states";
import { useStore } from "../kit/store";
import { tellPosition } from "../history/history";
import { formatNoun } from "../kit/words";
import { preloadEngine } from "../player/engine";
import { Player, type PlayerHandle } from "../player/player";
import { QueueList } from "../playlists/queue";
import { SaveButton } from "../playlists/save_button";
import { FollowButton } from "../profile/follow_button";
import type { PageProps } from "../shell/routes";
import { Gate } from "../subscriptions/gate";
import { findGate } from "../subscriptions/shapes";
import { VideoCard } from "./card";
import { ChapterList } from "./chapter_list";
import { DownloadButton } from "./download_button";
import { EndScreen } from "./end_screen";
import { LikeButton } from "./like_button";
import { readStart } from "./links";
import { ShareButton } from "./share_button";
import { useVideoProgress } from "./follow_progress";
import { MoreToCome, ProgressPanel } from "./progress";
import { listedAt } from "./publication";
import { SeenBy, SeenUntil } from "./seen_by";
import { nameSource, tellWatching } from "./watching";
import { isPlayable, type Video } from "./shapes";
import "./watch_page.css";

const NEXT_COUNT = 12;

interface Related {
  items: Video[];
}

preloadEngine();

export default function WatchPage({ parameters, search }: PageProps) {
  const listId = search.get("list");
  const [next, setNext] = useState<Video | null>(null);
  const [isTheatre, setTheatre] = useState(false);
  const player = useRef<PlayerHandle | null>(null);
  const id = parameters["video"] ?? "";
  const related = useRelated(id);
  const video = useLoad<Video>(id, (signal) => api.get<Video>(`/videos/${id}`, { signal }));
  useTitle(video.data?.title ?? null);
  useVideoProgress(video.data, (change) => video.change((known) => ({ ...known, ...change })), video.reload);
  // Whoever may not see it any more is let go by the edge, and hears why from the API.
  const gate = findGate(video.error);
  useChannel(video.data && !gate ? `video:${id}` : null, { onEvent: () => undefined, onRefused: video.reload });
  if (gate) {
    return (
      <div class="page narrow">
        <Gate owner={gate} what="This video" onRetry={video.reload} />
      </div>
    );
  }
  if (video.error !== null && video.data === null) return <Missing error={video.error} onRetry={video.reload} />;
  return (
    <div class={isTheatre ? "page watch theatre" : "page watch"}>
      <div class="watch-picture">
        {video.data ? (
          <Picture
            video={video.data}
            player={player}
            listId={listId}
            next={next}
            askedS={readStart(search.get("t"))}
            related={related.data?.items ?? []}
            onTheatre={() => setTheatre(!isTheatre)}
          />
        ) : (
          <div class="player" />
        )}
      </div>
      <div class="stack loose">
        <div class="stack">{video.data ? <About video={video.data} player={player} /> : <Skeleton shape="line" />}</div>
        {video.data && <Comments place={{ kind: "video", id, ownerId: video.data.owner.id }} />}
      </div>
      <div class="stack loose watch-side">
        {listId && <QueueList listId={listId} videoId={id} onNext={setNext} />}
        <Next related={related} />
      </div>
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

interface PictureProps {
  video: Video;
  player: { current: PlayerHandle | null };
  listId: string | null;
  next: Video | null;
  /** The moment that the address asks for. */
  askedS: number | null;
  related: readonly Video[];
  onTheatre: () => void;
}

function Picture({ video, player, listId, next, askedS, related, onTheatre }: PictureProps) {
  const me = useStore(currentUser);
  const source = useRef(nameSource(previousPath(), document.referrer, listId)).current;
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
        chapters={video.chapters}
        onSession={(report) => tellWatching(video.id, report, source)}
        handle={player}
        autoplay={listId !== null}
        onEnded={() => next && navigate(`/watch/${next.id}?list=${listId ?? ""}`)}
        startS={askedS ?? (video.resume_ms ?? 0) / 1000}
        onTheatre={onTheatre}
        endScreen={
          <EndScreen videos={next ? [next] : related} list={next ? listId : null} onAgain={() => player.current?.seek(0)} />
        }
        onPosition={me ? (positionS) => tellPosition(video.id, positionS) : undefined}
      />
      {!isComplete && <MoreToCome video={video} />}
    </>
  );
}

function About({ video, player }: { video: Video; player: { current: PlayerHandle | null } }) {
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
            <DownloadButton video={video} />
            <LikeButton video={video} />
            <SaveButton videoId={video.id} />
            <ShareButton video={video} player={player} />
          </div>
        </div>
      </div>
      <div class="watch-words">
        <p class="data muted">
          {formatNoun(video.views, "view")} <span aria-hidden="true">/</span> <Ago at={listedAt(video)} />
          <SeenBy video={video} />
          <SeenUntil video={video} />
        </p>
        {video.description && (
          <p class="prose">
            <RichText text={video.description} />
          </p>
        )}
        <Labels video={video} />
        <ChapterList chapters={video.chapters ?? []} player={player} />
      </div>
    </>
  );
}

function Labels({ video }: { video: Video }) {
  if (video.tags.length === 0 && !video.category) return null;
  return (
    <p class="row tight" data-testid="labels">
      {video.category && <span class="chip">{video.category}</span>}
      {video.tags.map((tag) => (
        <span key={tag} class="chip">
          #{tag}
        </span>
      ))}
    </p>
  );
}

function useRelated(id: string): Loaded<Related> {
  return useLoad<Related>(`related ${id}`, (signal) =>
    api.get<Related>(`/videos/${id}/related`, { query: { limit: NEXT_COUNT }, signal }),
  );
}

function Next({ related }: { related: Loaded<Related> }) {
  const items = related.data?.items ?? [];
  if (related.error !== null || (related.data && items.length === 0)) return null;
  return (
    <aside class="stack watch-next" aria-label="More videos">
      <h2>Watch next</h2>
      {related.data ? (
        items.map((video) => <VideoCard key={video.id} video={video} compact />)
      ) : (
        <Skeleton shape="row" count={3} />
      )}
    </aside>
  );
}
