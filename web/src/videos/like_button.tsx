/** Liking a video. The number follows the socket while the page is open. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Icon } from "../kit/icons";
import { useChannel } from "../kit/realtime";
import { location, navigate } from "../kit/router";
import { currentUser } from "../kit/session";
import { useStore } from "../kit/store";
import { showError } from "../kit/toasts";
import { formatCount } from "../kit/words";
import type { Video } from "./shapes";
import "./like_button.css";

interface Liked {
  likes: number;
  liked: boolean | null;
}

function readLiked(video: Video): Liked {
  return { likes: video.likes, liked: video.liked ?? null };
}

export function LikeButton({ video }: { video: Video }) {
  const me = useStore(currentUser);
  const [state, setState] = useState<Liked>(readLiked(video));
  const busy = useRef(false);
  useEffect(() => setState(readLiked(video)), [video.id, video.likes, video.liked]);
  useChannel(`video:${video.id}`, {
    onEvent: (event) => {
      if (event.type === "video_counters") setState((known) => ({ ...known, likes: event.data.likes }));
    },
  });
  const toggle = async () => {
    if (!me) return navigate(`/login?next=${encodeURIComponent(location.get().path)}`);
    if (busy.current) return;
    busy.current = true;
    const before = state;
    const liked = !state.liked;
    setState({ liked, likes: Math.max(0, state.likes + (liked ? 1 : -1)) });
    try {
      const path = `/videos/${video.id}/like`;
      setState(await (liked ? api.post<Liked>(path) : api.delete<Liked>(path)));
    } catch (error) {
      setState(before);
      showError(error);
    } finally {
      busy.current = false;
    }
  };
  const isLiked = state.liked === true;
  return (
    <button
      type="button"
      class={isLiked ? "button small liked" : "button small"}
      aria-pressed={isLiked}
      data-testid="like-video"
      onClick={() => void toggle()}
    >
      <Icon name="heart" size={18} filled={isLiked} />
      <span class="visually-hidden">Like, </span>
      <span class="data" data-testid="video-likes">
        {formatCount(state.likes)}
      </span>
    </button>
  );
}
