/** The comments below a post or a video: threads, sorted, and heard live. */
import { useEffect, useRef, useState } from "preact/hooks";
import { usePages, type Pages } from "../kit/load";
import { useChannel } from "../kit/realtime";
import { location } from "../kit/router";
import { currentUser } from "../kit/session";
import { Failure, ListEnd, Skeleton } from "../kit/states";
import { Store, useStore } from "../kit/store";
import { CommentForm } from "./form";
import { Replies } from "./replies";
import { CommentRow } from "./row";
import { applyNews, type Comment, type CommentNews, type CommentSort, type Place } from "./shapes";
import "./comments.css";

export function Comments({ place }: { place: Place }) {
  const me = useStore(currentUser);
  const [sort, setSort] = useState<CommentSort>("new");
  const pages = usePages<Comment>(`/${place.kind}s/${place.id}/comments`, { sort });
  const news = useRef(new Store<CommentNews | null>(null)).current;
  const tell = (item: CommentNews) => {
    pages.change((items) => applyNews(items, item));
    news.set(item);
  };
  useChannel(`${place.kind}:${place.id}`, {
    onEvent: (event) => {
      if (event.type === "post_comment") tell({ kind: "written", comment: event.data });
      if (event.type === "post_comment_changed") tell({ kind: "changed", comment: event.data });
      if (event.type === "post_comment_deleted") tell({ kind: "deleted", id: event.data.id });
    },
    onReload: pages.reload,
  });
  return (
    <section class="stack" aria-labelledby="comments-title">
      <div class="row spread">
        <h2 id="comments-title">Comments</h2>
        <SortChoice sort={sort} onChange={setSort} />
      </div>
      {me ? (
        <CommentForm place={place} onSent={(comment) => tell({ kind: "written", comment })} />
      ) : (
        <p>
          <a href={`/login?next=${encodeURIComponent(location.get().path)}`}>Log in</a> to comment.
        </p>
      )}
      <CommentList place={place} pages={pages} news={news} tell={tell} />
    </section>
  );
}

function SortChoice({ sort, onChange }: { sort: CommentSort; onChange: (sort: CommentSort) => void }) {
  return (
    <label class="data">
      <span class="muted">Sort </span>
      <select
        class="comment-sort"
        value={sort}
        data-testid="comment-sort"
        onChange={(event) => onChange(event.currentTarget.value as CommentSort)}
      >
        <option value="new">Newest</option>
        <option value="top">Most liked</option>
      </select>
    </label>
  );
}

interface CommentListProps {
  place: Place;
  pages: Pages<Comment>;
  news: Store<CommentNews | null>;
  tell: (news: CommentNews) => void;
}

function CommentList({ place, pages, news, tell }: CommentListProps) {
  if (pages.items.length === 0) {
    if (pages.error !== null) return <Failure error={pages.error} onRetry={pages.reload} />;
    if (pages.loading) return <Skeleton shape="line" count={3} />;
    return <p class="muted">No comments yet. Yours can be the first.</p>;
  }
  return (
    <>
      <ul class="comments" aria-live="polite" aria-relevant="additions">
        {pages.items.map((comment) => (
          <Thread key={comment.id} place={place} comment={comment} news={news} tell={tell} />
        ))}
      </ul>
      <ListEnd pages={pages} />
    </>
  );
}

type ThreadProps = Omit<CommentListProps, "pages"> & { comment: Comment };

function Thread({ place, comment, news, tell }: ThreadProps) {
  const me = useStore(currentUser);
  const [isOpen, setOpen] = useState(false);
  const [isReplying, setReplying] = useState(false);
  const entry = useRef<HTMLLIElement>(null);
  const endReply = () => {
    setReplying(false);
    entry.current?.querySelector<HTMLElement>(".comment-reply")?.focus();
  };
  useEffect(() => {
    if (comment.replies === 0) setOpen(false);
  }, [comment.replies === 0]);
  return (
    <li ref={entry} data-testid="comment">
      <CommentRow
        place={place}
        comment={comment}
        tell={tell}
        isReplying={isReplying}
        onReply={me ? () => setReplying(!isReplying) : undefined}
        canPin={me?.id === place.ownerId}
      />
      <div class="comment-thread">
        {isReplying && (
          <CommentForm
            place={place}
            replyTo={comment.id}
            onSent={(reply) => {
              endReply();
              setOpen(true);
              tell({ kind: "written", comment: reply });
            }}
            onCancel={endReply}
          />
        )}
        {comment.replies > 0 && (
          <button
            type="button"
            class="comment-toggle"
            aria-expanded={isOpen}
            data-testid="comment-replies"
            onClick={() => setOpen(!isOpen)}
          >
            {isOpen ? "Hide" : "Show"} {comment.replies === 1 ? "1 reply" : `${comment.replies} replies`}
          </button>
        )}
        {isOpen && <Replies place={place} parentId={comment.id} news={news} tell={tell} />}
      </div>
    </li>
  );
}
