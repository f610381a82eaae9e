/** The chat of a room: the log, the line being written, and whether we are connected. */
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { decideColour, nameOf } from "../kit/avatar";
import { Icon } from "../kit/icons";
import { RichText } from "../kit/prose";
import { socket } from "../kit/realtime";
import { currentUser } from "../kit/session";
import type { SocketState } from "../kit/socket";
import { Skeleton } from "../kit/states";
import { useStore } from "../kit/store";
import { formatClock } from "../kit/words";
import type { Author } from "../videos/shapes";
import type { RoomChat } from "./chat_lines";
import { ChatFoot } from "./chat_writer";
import { LineMenu } from "./line_menu";
import { ReactionsBar } from "./reactions_bar";
import { decideRank } from "./room_rules";
import type { ChatLine } from "./shapes";
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
  owner: Author;
  chat: RoomChat;
  socketUrl: string | null;
  isEnded: boolean;
}

/** `chat` is kept by the page, which shows parts of it elsewhere too. */
export function Chat({ roomId, owner, chat, socketUrl, isEnded }: ChatProps) {
  const me = useStore(currentUser);
  const rank = decideRank(me, owner.id, chat.rules.moderators);
  const renderMenu = (line: ChatLine) => (
    <LineMenu
      roomId={roomId}
      line={line}
      isMine={me !== null && line.user?.id === me.id}
      canModerate={rank !== "guest"}
      pins={chat.rules.pins}
    />
  );
  return (
    <section class="chat" aria-labelledby="chat-title">
      <header class="row spread">
        <h2 id="chat-title">Chat</h2>
        <Connection />
      </header>
      <Wall chat={chat} />
      <Log chat={chat} ownerId={owner.id} renderMenu={renderMenu} />
      {!isEnded && <ReactionsBar roomId={roomId} socketUrl={socketUrl} />}
      <ChatFoot me={me} owner={owner} rank={rank} chat={chat} isEnded={isEnded} />
    </section>
  );
}

const NOTICE_WORDS = { announcement: "Announcement", raid: "Raid", raided: "Raid" };

/** What stands above the lines: the newest announcement, and pinned lines. */
function Wall({ chat }: { chat: RoomChat }) {
  const { pins, notice } = chat.rules;
  return (
    <div class="chat-wall" role="region" aria-label="Announcement and pins" hidden={pins.length === 0 && notice === null}>
      <div class="chat-notice" role="status" data-testid="chat-notice">
        {notice && (
          <>
            <Icon name="horn" size={20} />
            <p class="grow">
              <span class="data">
                {NOTICE_WORDS[notice.kind]}
                {notice.by && ` by ${notice.by}`}
              </span>
              <br />
              {notice.href ? <a href={notice.href}>{notice.text}</a> : <RichText text={notice.text} />}
            </p>
            <button
              type="button"
              class="icon-button"
              aria-label="Dismiss the announcement"
              onClick={() => chat.dismiss("notice")}
            >
              <Icon name="close" size={16} />
            </button>
          </>
        )}
      </div>
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
        {line.state === "held" && (
          <span class="chat-note held">
            <Icon name="clock" size={14} /> Only you see this until a moderator lets it through.
          </span>
        )}
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
