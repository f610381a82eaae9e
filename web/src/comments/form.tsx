/** Writes a comment, a reply, or another text for one's own. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { api } from "../kit/api";
import { describeError } from "../kit/errors";
import { COMMENT_TEXT_MAX, type Comment, type Place } from "./shapes";

interface CommentFormProps {
  place: Place;
  replyTo?: string;
  /** The comment whose text is changed. */
  changes?: Comment;
  onSent: (comment: Comment) => void;
  /** Of a reply or a change: Escape gives it up. */
  onCancel?: () => void;
}

export function CommentForm({ place, replyTo, changes, onSent, onCancel }: CommentFormProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  // Whoever asked for it is about to write.
  useEffect(() => {
    if (onCancel) input.current?.focus();
  }, []);
  const [text, setText] = useState(changes?.text ?? "");
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const label = changes ? "Your comment, changed" : replyTo ? "Your reply" : "Your comment";
  const send = async () => {
    if (text.trim() === "" || isBusy) return;
    setBusy(true);
    setProblem(null);
    const body = { text: text.trim(), ...(replyTo ? { reply_to: replyTo } : {}) };
    try {
      const sent = changes
        ? await api.patch<Comment>(`/comments/${changes.id}`, body)
        : await api.post<Comment>(`/${place.kind}s/${place.id}/comments`, body);
      setText("");
      onSent(sent);
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
        {label}
      </label>
      <input
        ref={input}
        id={id}
        class="input"
        maxLength={COMMENT_TEXT_MAX}
        placeholder={replyTo ? "Reply" : "Add a comment"}
        autocomplete="off"
        value={text}
        data-testid={changes ? "comment-change" : replyTo ? "reply-text" : "comment-text"}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Escape" && onCancel?.()}
      />
      <button
        type="submit"
        class="button primary"
        disabled={isBusy || text.trim() === ""}
        data-testid={changes ? "comment-save" : replyTo ? "reply-submit" : "comment-submit"}
      >
        {changes ? "Save" : "Send"}
      </button>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}
