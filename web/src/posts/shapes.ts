/** Posts as the API gives them, and what live events do to them. Pure. */
import type { PostCounters } from "../kit/messages";
import type { Author, VideoStatus } from "../videos/shapes";

export interface PostVideo {
  id: string;
  title: string;
  status: VideoStatus;
  duration_ms: number | null;
  thumbnail: string | null;
  playback: { hls: string | null } | null;
}

export type PostVisibility = "public" | "followers" | "subscribers" | "private";

export interface Post {
  id: string;
  author: Author;
  text: string;
  visibility: PostVisibility;
  created_at: string;
  videos: PostVideo[];
  counters: PostCounters;
  liked: boolean;
}

export const POST_TEXT_MAX = 5_000;

/** The post after our own like or its withdrawal, before the server has answered. */
export function applyLike(post: Post, liked: boolean): Post {
  if (post.liked === liked) return post;
  const likes = Math.max(0, post.counters.likes + (liked ? 1 : -1));
  return { ...post, liked, counters: { ...post.counters, likes } };
}
