/** The comments of a post: written, listed newest first, and heard live. */
import { useId, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Avatar, nameOf } from "../kit/avatar";
import { describeError } from "../kit/errors";
import { Icon } from "../kit/icons";
import { usePages, type Pages } from "../kit/load";
import { Ago, RichText } from "../kit/prose";
import { useChannel } from "../kit/realtime";
import { currentUser } from "../kit/session";
import { Failure, ListEnd, Skeleton } from "../kit/states";
import { useStore } from "../kit/store";
import { showError } from "../kit/toasts";
import { applyComment, COMMENT_TEXT_MAX, type PostComment } from "./shapes";
import "./comments.css";

export function Comments({ postId }: { postId: string }) {
  const me = useStore(currentUser);
  const pages = usePages<PostComment>(`/posts/${postId}/comments`);
  const add = (comment: PostComment) => pages.change((items) => applyComment(items, comment));
  useChannel(`post:${postId}`, {
    onEvent: (event) => {
      if (event.type === "post_comment") add(event.data);
    },
    onReload: pages.reload,
  });
  return (
    <section class="stack" aria-labelledby="comments-title">
      <h2 id="comments-title">Comments</h2>
      {me ? (
        <CommentForm postId={postId} onSent={add} />
      ) : (
        <p>
          <a href={`/login?next=${encodeURIComponent(`/post/${postId}`)}`}>Log in</a> to comment.
        </p>
      )}
      <CommentList pages={pages} myId={me?.id ?? null} />
    </section>
  );
}

function CommentForm({ postId, onSent }: { postId: string; onSent: (comment: PostComment) => void }) {
  const id = useId();
  const [text, setText] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const send = async () => {
    if (text.trim() === "" || isBusy) return;
    setBusy(true);
    setProblem(null);
    try {
      onSent(await api.post<PostComment>(`/posts/${postId}/comments`, { text: text.trim() }));
      setText("");
    } catch (error) {
      setProblem(describeError(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="comment-form"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <label class="visually-hidden" for={id}>
        Your comment
      </label>
      <input
        id={id}
        class="input"
        maxLength={COMMENT_TEXT_MAX}
        placeholder="Add a comment"
        autocomplete="off"
        value={text}
        data-testid="comment-text"
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button type="submit" class="button primary" disabled={isBusy || text.trim() === ""} data-testid="comment-submit">
        Send
      </button>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}

function CommentList({ pages, myId }: { pages: Pages<PostComment>; myId: string | null }) {
  if (pages.items.length === 0) {
    if (pages.error !== null) return <Failure error={pages.error} onRetry={pages.reload} />;
    if (pages.loading) return <Skeleton shape="line" count={3} />;
    return <p class="muted">No comments yet. Yours can be the first.</p>;
  }
  const remove = async (comment: PostComment) => {
    try {
      await api.delete(`/comments/${comment.id}`);
      pages.change((items) => items.filter((item) => item.id !== comment.id));
    } catch (error) {
      showError(error);
    }
  };
  return (
    <>
      <ul class="comments" aria-live="polite" aria-relevant="additions">
        {pages.items.map((comment) => (
          <li key={comment.id} class="comment" data-testid="comment">
            <Avatar user={comment.author} size={36} />
            <div class="grow">
              <p class="comment-who">
                <a class="plain" href={`/u/${comment.author.username}`}>
                  <strong>{nameOf(comment.author)}</strong>
                </a>{" "}
                <Ago at={comment.created_at} />
              </p>
              <p class="prose">
                <RichText text={comment.text} />
              </p>
            </div>
            {comment.author.id === myId && (
              <button
                type="button"
                class="icon-button"
                aria-label="Delete this comment"
                onClick={() => void remove(comment)}
              >
                <Icon name="trash" size={18} />
              </button>
            )}
          </li>
        ))}
      </ul>
      <ListEnd pages={pages} />
    </>
  );
}
