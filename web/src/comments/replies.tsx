/** The replies of one thread, oldest first. */
import { useEffect } from "preact/hooks";
import { usePages } from "../kit/load";
import { Failure, ListEnd, Skeleton } from "../kit/states";
import type { Store } from "../kit/store";
import { CommentRow } from "./row";
import { applyReplyNews, type Comment, type CommentNews, type Place } from "./shapes";

interface RepliesProps {
  place: Place;
  parentId: string;
  news: Store<CommentNews | null>;
  tell: (news: CommentNews) => void;
}

export function Replies({ place, parentId, news, tell }: RepliesProps) {
  const pages = usePages<Comment>(`/comments/${parentId}/replies`);
  useEffect(
    () => news.subscribe((item) => item && pages.change((known) => applyReplyNews(known, parentId, item))),
    [news, parentId],
  );
  if (pages.error !== null && pages.items.length === 0) return <Failure error={pages.error} onRetry={pages.reload} />;
  if (pages.loading && pages.items.length === 0) return <Skeleton shape="line" />;
  return (
    <>
      <ul class="comments">
        {pages.items.map((reply) => (
          <li key={reply.id} data-testid="reply">
            <CommentRow place={place} comment={reply} tell={tell} canPin={false} />
          </li>
        ))}
      </ul>
      <ListEnd pages={pages} />
    </>
  );
}
