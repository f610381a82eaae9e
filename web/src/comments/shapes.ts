/** Comments as the API gives them, and what live events do to a list of them. Pure. */
import type { PostComment } from "../kit/messages";

/** `liked` is about oneself: only answers have it, events do not. */
export type Comment = PostComment & { liked?: boolean };

export interface Place {
  kind: "post" | "video";
  id: string;
  ownerId: string;
}

export type CommentSort = "new" | "top";

export const COMMENT_TEXT_MAX = 2_000;

export type CommentNews =
  | { kind: "written"; comment: Comment }
  | { kind: "changed"; comment: Comment }
  | { kind: "deleted"; id: string };

/** The comments of a place after something happened: new ones first, the pinned one before all. */
export function applyNews(comments: readonly Comment[], news: CommentNews): Comment[] {
  if (news.kind === "deleted") return comments.filter((known) => known.id !== news.id);
  const { comment } = news;
  if (comments.some((known) => known.id === comment.id)) return putPinnedFirst(merge(comments, comment));
  if (news.kind === "changed") return [...comments];
  if (comment.parent_id === null) return putPinnedFirst([comment, ...comments]);
  return comments.map((known) => (known.id === comment.parent_id ? { ...known, replies: known.replies + 1 } : known));
}

/** The replies of a thread after something happened: new ones last. */
export function applyReplyNews(replies: readonly Comment[], parentId: string, news: CommentNews): Comment[] {
  if (news.kind === "deleted") return replies.filter((known) => known.id !== news.id);
  if (replies.some((known) => known.id === news.comment.id)) return merge(replies, news.comment);
  if (news.kind === "changed" || news.comment.parent_id !== parentId) return [...replies];
  return [...replies, news.comment];
}

function merge(comments: readonly Comment[], comment: Comment): Comment[] {
  return comments.map((known) => {
    if (known.id !== comment.id) return comment.pinned ? { ...known, pinned: false } : known;
    return { ...comment, liked: comment.liked ?? known.liked ?? false };
  });
}

function putPinnedFirst(comments: Comment[]): Comment[] {
  return [...comments.filter((known) => known.pinned), ...comments.filter((known) => !known.pinned)];
}
