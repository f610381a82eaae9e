/** The foot of a chat: the line being written, or why none can be. Counts down what has to be waited for. */
import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { api } from "../kit/api";
import { nameOf } from "../kit/avatar";
import { useLoad } from "../kit/load";
import { useNow } from "../kit/now";
import { useChannel } from "../kit/realtime";
import { location } from "../kit/router";
import type { SessionUser } from "../kit/session";
import { useStore } from "../kit/store";
import { formatDuration } from "../kit/words";
import { readNotice } from "../notices/shapes";
import { FollowButton } from "../profile/follow_button";
import { follows } from "../profile/follows";
import type { Profile } from "../profile/shapes";
import type { Author } from "../videos/shapes";
import type { RoomChat } from "./chat_lines";
import type { Rank } from "./room_rules";
import { CHAT_TEXT_MAX } from "./shapes";
import { decideWriting } from "./writing";

interface FootProps {
  me: SessionUser | null;
  owner: Author;
  rank: Rank;
  chat: RoomChat;
  isEnded: boolean;
}

export function ChatFoot({ me, owner, rank, chat, isEnded }: FootProps) {
  const { rules, silence } = chat.rules;
  const isBound = me !== null && rank === "guest";
  const isFollowing = useIsFollowing(owner.username, isBound && rules?.followers_only === true);
  const isSubscribed = useIsSubscribed(owner, isBound && rules?.subscribers_only === true ? me.id : null);
  const untilMs = Math.max(chat.waitUntilMs, silence?.until ? Date.parse(silence.until) : 0);
  const nowMs = useNow(untilMs);
  if (isEnded) return <Closed>The broadcast has ended; the chat is closed.</Closed>;
  if (!me) {
    return (
      <Closed>
        <a href={`/login?next=${encodeURIComponent(location.get().path)}`}>Log in</a> to join in.
      </Closed>
    );
  }
  const ownerName = nameOf(owner);
  const { waitUntilMs } = chat;
  const writing = decideWriting({
    rules,
    rank,
    silence,
    isFollowing,
    isSubscribed,
    ownerName,
    waitUntilMs,
    nowMs,
  });
  if (writing.state === "closed") return <Closed>{writing.hint}</Closed>;
  if (writing.state === "follow") {
    return (
      <div class="chat-closed row spread">
        <p>{writing.hint}</p>
        <FollowButton username={owner.username} />
      </div>
    );
  }
  return <Writer onSend={chat.send} hint={writing.hint} waitS={writing.waitS} />;
}

function Closed({ children }: { children: ComponentChildren }) {
  return (
    <p class="chat-closed" role="status" data-testid="chat-closed">
      {children}
    </p>
  );
}

/** Undefined while it is not needed or not known. */
function useIsFollowing(username: string, isNeeded: boolean): boolean | undefined {
  const said = useStore(follows)[username];
  const asked = useLoad<Profile>(isNeeded && said === undefined ? username : null, (signal) =>
    api.get<Profile>(`/users/${username}`, { signal }),
  );
  return said ?? asked.data?.is_following;
}

/** Undefined while it is not needed (nobody is named) or not known; a gift that comes meanwhile counts. */
function useIsSubscribed(owner: Author, myId: string | null): boolean | undefined {
  const asked = useLoad<Profile>(myId === null ? null : `${owner.username} ${myId}`, (signal) =>
    api.get<Profile>(`/users/${owner.username}`, { signal }),
  );
  useChannel(myId === null ? null : `user:${myId}`, {
    onEvent: (event) => readNotice(event)?.kind === "subscription" && asked.reload(),
  });
  return asked.data?.is_subscribed;
}

interface WriterProps {
  onSend: (text: string) => void;
  hint: string;
  waitS: number;
}

function Writer({ onSend, hint, waitS }: WriterProps) {
  const id = useId();
  const [text, setText] = useState("");
  const send = () => {
    const trimmed = text.trim();
    if (trimmed === "" || waitS > 0) return;
    onSend(trimmed);
    setText("");
  };
  return (
    <form
      class="chat-writer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <label class="visually-hidden" for={id}>
        Your line
      </label>
      <input
        id={id}
        class="input"
        placeholder="Say something"
        autocomplete="off"
        aria-describedby={hint ? `${id}-hint` : undefined}
        enterkeyhint="send"
        maxLength={CHAT_TEXT_MAX}
        value={text}
        data-testid="chat-input"
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button
        type="submit"
        class="button primary"
        disabled={text.trim() === "" || waitS > 0}
        data-testid="chat-send"
      >
        {waitS > 0 ? <span class="chat-wait">{waitS < 60 ? `${waitS} s` : formatDuration(waitS)}</span> : "Send"}
      </button>
      {hint && (
        <p id={`${id}-hint`} class="chat-hint muted" data-testid="chat-hint">
          {hint}
        </p>
      )}
    </form>
  );
}
