/** A post in a feed or alone: who, words, pictures, like, comments. Its counters follow the socket while it is on screen. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Avatar, nameOf } from "../kit/avatar";
import { Confirm } from "../kit/dialog";
import { Icon } from "../kit/icons";
import { Ago, RichText } from "../kit/prose";
import { useChannel } from "../kit/realtime";
import { navigate } from "../kit/router";
import { currentUser } from "../kit/session";
import { shareAddress } from "../kit/share";
import { useStore } from "../kit/store";
import { showError, showToast } from "../kit/toasts";
import { formatCount, formatNoun } from "../kit/words";
import { VideoFrame } from "../videos/frame";
import { nameAudience } from "../videos/shapes";
import { applyLike, type Post, type PostVideo } from "./shapes";
import "./card.css";

interface PostCardProps {
  post: Post;
  /** On its own page the words are the page's title. */
  isAlone?: boolean;
  onDeleted?: (id: string) => void;
}

export function PostCard({ post: given, isAlone = false, onDeleted }: PostCardProps) {
  const [post, setPost] = useState(given);
  useEffect(() => setPost(given), [given]);
  const root = useRef<HTMLElement>(null);
  const isVisible = useVisible(root);
  useChannel(isVisible ? `post:${post.id}` : null, {
    onEvent: (event) => {
      if (event.type !== "post_counters") return;
      setPost((known) => ({ ...known, counters: { ...known.counters, ...event.data } }));
    },
  });
  return (
    <article ref={root} class="post" data-testid="post-card" aria-label={`Post by ${nameOf(post.author)}`}>
      <PostHead post={post} {...(onDeleted ? { onDeleted } : {})} />
      {post.videos.map((video) => (
        <PostPicture key={video.id} video={video} />
      ))}
      {post.text && (
        <p class={post.videos.length === 0 ? "post-text large" : "post-text"}>
          <RichText text={post.text} />
        </p>
      )}
      <div class="post-actions">
        <LikeButton post={post} onChange={setPost} />
        {isAlone ? (
          <span class="post-action">
            <Icon name="comment" size={20} /> {formatNoun(post.counters.comments, "comment")}
          </span>
        ) : (
          <a class="post-action plain" href={`/post/${post.id}`}>
            <Icon name="comment" size={20} />
            <span>
              {formatCount(post.counters.comments)}
              <span class="visually-hidden"> comments, open the post</span>
            </span>
          </a>
        )}
        <button
          type="button"
          class="post-action"
          onClick={() => shareAddress(`Post by ${nameOf(post.author)}`, `/post/${post.id}`)}
        >
          <Icon name="share" size={20} />
          <span class="post-action-word">Share</span>
        </button>
      </div>
    </article>
  );
}

/** Only posts near the screen listen, so a long feed keeps few subscriptions. */
function useVisible(element: { current: HTMLElement | null }): boolean {
  const [isVisible, setVisible] = useState(false);
  useEffect(() => {
    if (!element.current) return undefined;
    const observer = new IntersectionObserver((entries) => setVisible(entries.at(-1)?.isIntersecting ?? false), {
      rootMargin: "200px",
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return isVisible;
}

function PostHead({ post, onDeleted }: { post: Post; onDeleted?: (id: string) => void }) {
  const me = useStore(currentUser);
  const [isAsking, setAsking] = useState(false);
  const remove = async () => {
    try {
      await api.delete(`/posts/${post.id}`);
      showToast("Post deleted.");
      onDeleted?.(post.id);
    } catch (error) {
      showError(error);
    }
  };
  return (
    <header class="post-head">
      <Avatar user={post.author} size={42} />
      <div class="grow post-who">
        <a class="plain clip" href={`/u/${post.author.username}`}>
          <strong>{nameOf(post.author)}</strong> <span class="data muted">@{post.author.username}</span>
        </a>
        <span>
          <a class="plain" href={`/post/${post.id}`}>
            <Ago at={post.created_at} />
          </a>
          {post.visibility !== "public" && <span class="chip">{nameAudience(post.visibility)}</span>}
        </span>
      </div>
      {me?.id === post.author.id && onDeleted && (
        <button type="button" class="icon-button" aria-label="Delete this post" onClick={() => setAsking(true)}>
          <Icon name="trash" size={20} />
        </button>
      )}
      {isAsking && (
        <Confirm
          title="Delete this post?"
          text="It disappears from every feed at once, with its comments and likes."
          action="Delete post"
          onConfirm={remove}
          onClose={() => setAsking(false)}
        />
      )}
    </header>
  );
}

function PostPicture({ video }: { video: PostVideo }) {
  return (
    <a class="post-picture plain" href={`/watch/${video.id}`}>
      <span class="visually-hidden">Watch </span>
      <VideoFrame thumbnail={video.thumbnail} durationMs={video.duration_ms} />
      <span class="post-picture-play" aria-hidden="true">
        <Icon name="play" size={26} />
      </span>
      <span class="post-picture-title">
        <span class="clip">{video.title}</span>
        {video.status !== "ready" && <span class="chip busy">{video.status}</span>}
      </span>
    </a>
  );
}

function LikeButton({ post, onChange }: { post: Post; onChange: (apply: (post: Post) => Post) => void }) {
  const me = useStore(currentUser);
  const busy = useRef(false);
  const toggle = async () => {
    if (!me) return navigate(`/login?next=${encodeURIComponent(`/post/${post.id}`)}`);
    if (busy.current) return;
    busy.current = true;
    const liked = !post.liked;
    onChange((known) => applyLike(known, liked));
    try {
      if (liked) await api.post(`/posts/${post.id}/like`);
      else await api.delete(`/posts/${post.id}/like`);
    } catch (error) {
      onChange((known) => applyLike(known, !liked));
      showError(error);
    } finally {
      busy.current = false;
    }
  };
  return (
    <button
      type="button"
      class={post.liked ? "post-action liked" : "post-action"}
      aria-pressed={post.liked}
      data-testid="like-button"
      onClick={toggle}
    >
      <Icon name="heart" size={20} filled={post.liked} />
      <span class="visually-hidden">Like, </span>
      <span data-testid="like-count">{formatCount(post.counters.likes)}</span>
    </button>
  );
}
