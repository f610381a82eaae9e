/** The chat of a room: the log, the line being written, and whether we are connected. */
import type { JSX } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { decideColour, nameOf } from "../kit/avatar";
import { Icon } from "../kit/icons";
import { RichText } from "../kit/prose";
import { socket } from "../kit/realtime";
import { location } from "../kit/router";
import { currentUser } from "../kit/session";
import type { SocketState } from "../kit/socket";
import { Skeleton } from "../kit/states";
import { useStore } from "../kit/store";
import { formatClock } from "../kit/words";
import { useRoomChat, type RoomChat } from "./chat_lines";
import { LineMenu } from "./line_menu";
import { decideRank, describeRules, type ChatRules } from "./room_rules";
import { CHAT_TEXT_MAX, type ChatLine } from "./shapes";
import "./chat.css";

const CONNECTION_WORDS: Record<SocketState, string> = {
  idle: "Not connected",
  connecting: "Connecting…",
  open: "Connected",
  waiting: "Connection lost. Trying again…",
  refused: "The server closed the chat. Reload to join again.",
};

const STREAM_WORDS = "Connected the slow way: your network lets no WebSocket through.";

interface ChatProps {
  roomId: string;
  ownerId: string;
  socketUrl: string | null;
  isEnded: boolean;
}

export function Chat({ roomId, ownerId, socketUrl, isEnded }: ChatProps) {
  const me = useStore(currentUser);
  const chat = useRoomChat(roomId, me, socketUrl);
  const canModerate = decideRank(me, ownerId, chat.rules.moderators) !== "guest";
  const renderMenu = (line: ChatLine) => (
    <LineMenu
      roomId={roomId}
      line={line}
      isMine={me !== null && line.user?.id === me.id}
      canModerate={canModerate}
      pins={chat.rules.pins}
    />
  );
  return (
    <section class="chat" aria-labelledby="chat-title">
      <header class="row spread">
        <h2 id="chat-title">Chat</h2>
        <Connection />
      </header>
      <Wall rules={chat.rules} />
      <Log chat={chat} ownerId={ownerId} renderMenu={renderMenu} />
      {isEnded ? (
        <p class="chat-closed muted">The broadcast has ended; the chat is closed.</p>
      ) : me && chat.rules.silence ? (
        <p class="chat-closed" role="status">
          {chat.rules.silence}
        </p>
      ) : me ? (
        <Writer onSend={chat.send} hint={describeRules(chat.rules.rules)} />
      ) : (
        <p class="chat-closed">
          <a href={`/login?next=${encodeURIComponent(location.get().path)}`}>Log in</a> to join in.
        </p>
      )}
    </section>
  );
}

/** What stands above the lines: pinned ones, and the newest announcement. */
function Wall({ rules }: { rules: ChatRules }) {
  const { pins, notice } = rules;
  return (
    <div class="chat-wall" role="region" aria-label="Pinned" hidden={pins.length === 0 && notice === null}>
      <p class="chat-notice" role="status">
        {notice && (notice.href ? <a href={notice.href}>{notice.text}</a> : notice.text)}
      </p>
      {pins.map((pin) => (
        <p key={pin.id} class="chat-pin" data-testid="chat-pin">
          <strong>{nameOf(pin.user)}</strong> <RichText text={pin.text} />
        </p>
      ))}
    </div>
  );
}

function Connection() {
  const state = useStore(socket.state);
  const way = useStore(socket.way);
  const words = state === "open" && way === "stream" ? STREAM_WORDS : CONNECTION_WORDS[state];
  return (
    <span class={`chat-connection data ${state}`} role="status" data-testid="chat-connection" data-state={state}>
      {words}
    </span>
  );
}

/** Sticks to the newest line until somebody scrolls up; then it waits with a button. */
interface LogProps {
  chat: RoomChat;
  ownerId: string;
  renderMenu: (line: ChatLine) => JSX.Element;
}

function Log({ chat, ownerId, renderMenu }: LogProps) {
  const log = useRef<HTMLDivElement>(null);
  const [isStuck, setStuck] = useState(true);
  const count = chat.lines.length;
  const own = chat.lines.at(-1)?.state === "sending";
  const toEnd = () => {
    if (log.current) log.current.scrollTop = log.current.scrollHeight;
    setStuck(true);
  };
  useLayoutEffect(() => {
    if (isStuck || own) toEnd();
  }, [count]);
  useEffect(() => {
    const observer = new ResizeObserver(() => isStuck && toEnd());
    if (log.current) observer.observe(log.current);
    return () => observer.disconnect();
  }, [isStuck]);
  return (
    <div class="chat-window">
      <div
        ref={log}
        class="chat-log"
        role="log"
        aria-live="polite"
        aria-label="Chat lines"
        tabIndex={0}
        onScroll={(event) => {
          const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
          setStuck(scrollHeight - scrollTop - clientHeight < 48);
        }}
      >
        {count === 0 && <LogEmpty chat={chat} />}
        {chat.lines.map((line) => (
          <Line
            key={line.client_id ?? line.id}
            line={line}
            ownerId={ownerId}
            menu={renderMenu(line)}
            onRetry={() => chat.retry(line)}
          />
        ))}
      </div>
      {!isStuck && (
        <button type="button" class="button small primary chat-newest" onClick={toEnd}>
          <Icon name="down" size={16} /> Newest lines
        </button>
      )}
    </div>
  );
}

function LogEmpty({ chat }: { chat: RoomChat }) {
  if (chat.isLoading) return <Skeleton shape="line" count={3} />;
  if (chat.historyError !== null) {
    return (
      <p class="muted">
        Earlier lines did not load.{" "}
        <button type="button" class="link" onClick={chat.reload}>
          Try again
        </button>
      </p>
    );
  }
  return <p class="muted">Quiet so far. Say something.</p>;
}

interface LineProps {
  line: ChatLine;
  ownerId: string;
  menu: JSX.Element;
  onRetry: () => void;
}

function Line({ line, ownerId, menu, onRetry }: LineProps) {
  const isHost = line.user?.id === ownerId;
  return (
    <div class={`chat-line ${line.state}`} data-testid="chat-line" data-state={line.state} data-message-id={line.id}>
      <time class="data" dateTime={line.created_at}>
        {formatClock(line.created_at)}
      </time>
      <p>
        {line.user ? (
          <a class={`plain chat-name n${decideColour(line.user.username)}`} href={`/u/${line.user.username}`}>
            {nameOf(line.user)}
          </a>
        ) : (
          <span class="chat-name">Somebody</span>
        )}
        {isHost && <span class="chip">host</span>}{" "}
        <span class="chat-text">
          <RichText text={line.text} />
        </span>
        {line.state === "sending" && <span class="visually-hidden"> (sending)</span>}
        {line.state === "held" && <span class="chat-note"> Waiting for a moderator.</span>}
        {line.state === "failed" && (
          <span class="chat-note problem">
            {" "}
            {line.problem}{" "}
            {line.retryable && (
              <button type="button" class="link" onClick={onRetry}>
                Send again
              </button>
            )}
          </span>
        )}
      </p>
      {menu}
    </div>
  );
}

function Writer({ onSend, hint }: { onSend: (text: string) => void; hint: string }) {
  const id = useId();
  const [text, setText] = useState("");
  const send = () => {
    const trimmed = text.trim();
    if (trimmed === "") return;
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
      <button type="submit" class="button primary" disabled={text.trim() === ""} data-testid="chat-send">
        Send
      </button>
      {hint && (
        <p id={`${id}-hint`} class="chat-hint muted">
          {hint}
        </p>
      )}
    </form>
  );
}
