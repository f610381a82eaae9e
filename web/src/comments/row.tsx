/** One comment or reply: who, words, like, and what its author or the page's owner may do with it. */
import { useRef, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Avatar, nameOf } from "../kit/avatar";
import { Icon } from "../kit/icons";
import { Ago, RichText } from "../kit/prose";
import { location, navigate } from "../kit/router";
import { currentUser } from "../kit/session";
import { useStore } from "../kit/store";
import { showError } from "../kit/toasts";
import { formatCount } from "../kit/words";
import { CommentForm } from "./form";
import type { Comment, CommentNews, Place } from "./shapes";

interface CommentRowProps {
  place: Place;
  comment: Comment;
  tell: (news: CommentNews) => void;
  onReply?: (() => void) | undefined;
  isReplying?: boolean;
  canPin: boolean;
}

export function CommentRow({ place, comment, tell, onReply, isReplying = false, canPin }: CommentRowProps) {
  const [isEditing, setEditing] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const endEdit = () => {
    setEditing(false);
    root.current?.querySelector<HTMLElement>(".comment-edit")?.focus();
  };
  return (
    <div ref={root} class="comment">
      <Avatar user={comment.author} size={36} />
      <div class="grow">
        <p class="comment-who">
          <a class="plain" href={`/u/${comment.author.username}`}>
            <strong>{nameOf(comment.author)}</strong>
          </a>{" "}
          <Ago at={comment.created_at} />
          {comment.edited_at && <span class="data muted"> (edited)</span>}
          {comment.author.id === place.ownerId && <span class="chip">Owner</span>}
          {comment.pinned && <span class="chip busy">Pinned</span>}
        </p>
        {isEditing ? (
          <CommentForm
            place={place}
            changes={comment}
            onSent={(changed) => {
              endEdit();
              tell({ kind: "changed", comment: changed });
            }}
            onCancel={endEdit}
          />
        ) : (
          <p class="prose">
            <RichText text={comment.text} />
          </p>
        )}
        <div class="comment-acts">
          <LikeButton comment={comment} tell={tell} />
          {onReply && (
            <button
              type="button"
              class="comment-act comment-reply"
              aria-expanded={isReplying}
              data-testid="comment-reply"
              onClick={onReply}
            >
              Reply
              <span class="visually-hidden"> to {nameOf(comment.author)}</span>
            </button>
          )}
          <Tools place={place} comment={comment} tell={tell} canPin={canPin} onEdit={() => setEditing(!isEditing)} />
        </div>
      </div>
    </div>
  );
}

function LikeButton({ comment, tell }: Pick<CommentRowProps, "comment" | "tell">) {
  const me = useStore(currentUser);
  const liked = comment.liked ?? false;
  const toggle = async () => {
    if (!me) return navigate(`/login?next=${encodeURIComponent(location.get().path)}`);
    const path = `/comments/${comment.id}/like`;
    try {
      const changed = await (liked ? api.delete<Comment>(path) : api.post<Comment>(path));
      tell({ kind: "changed", comment: changed });
    } catch (error) {
      showError(error);
    }
  };
  return (
    <button type="button" class="comment-act" aria-pressed={liked} data-testid="comment-like" onClick={toggle}>
      <Icon name="heart" size={16} filled={liked} />
      {comment.likes > 0 && <span class="data">{formatCount(comment.likes)}</span>}
      <span class="visually-hidden">{liked ? "Liked" : "Like"}</span>
    </button>
  );
}

interface ToolsProps extends Omit<CommentRowProps, "onReply" | "isReplying"> {
  onEdit: () => void;
}

function Tools({ place, comment, tell, canPin, onEdit }: ToolsProps) {
  const me = useStore(currentUser);
  const isMine = me?.id === comment.author.id;
  const remove = async () => {
    try {
      await api.delete(`/comments/${comment.id}`);
      tell({ kind: "deleted", id: comment.id });
    } catch (error) {
      showError(error);
    }
  };
  const pin = async () => {
    const path = `/comments/${comment.id}/pin`;
    try {
      const changed = await (comment.pinned ? api.delete<Comment>(path) : api.post<Comment>(path));
      tell({ kind: "changed", comment: changed });
    } catch (error) {
      showError(error);
    }
  };
  return (
    <>
      {canPin && (
        <button type="button" class="comment-act" data-testid="comment-pin" onClick={pin}>
          {comment.pinned ? "Unpin" : "Pin"}
        </button>
      )}
      {isMine && (
        <button type="button" class="comment-act comment-edit" data-testid="comment-edit" onClick={onEdit}>
          Edit
        </button>
      )}
      {(isMine || me?.id === place.ownerId) && (
        <button type="button" class="comment-act" aria-label="Delete this comment" onClick={remove}>
          Delete
        </button>
      )}
    </>
  );
}
