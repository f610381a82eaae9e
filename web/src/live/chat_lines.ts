/** Keeps the lines of one room: history, live lines, our own on their way. Used by the chat panel. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { api, type Page } from "../kit/api";
import { ApiError, describeError } from "../kit/errors";
import { socket, useChannel } from "../kit/realtime";
import type { SessionUser } from "../kit/session";
import {
  applyDeleted,
  applyHeldRefused,
  applyHistory,
  applyMessage,
  applyOwn,
  readChatEvent,
  readMessage,
  readOwnHeld,
  type ChatLine,
  type ChatMessage,
} from "./shapes";
import type { ChannelEvent } from "../kit/frames";
import { LatestWord } from "./latest_word";
import { applyChatAnswer, applyNotices, applyRoomEvent, NO_RULES, type ChatAnswer, type ChatRules } from "./room_rules";

const HISTORY_COUNT = 50;
const SOCKET_PATIENCE_MS = 1_200;

export interface RoomChat {
  lines: ChatLine[];
  rules: ChatRules;
  isLoading: boolean;
  historyError: unknown;
  /** Until then the room takes no line of ours, as far as we know. */
  waitUntilMs: number;
  send: (text: string) => void;
  retry: (line: ChatLine) => void;
  reload: () => void;
  /** The announcement was read, or the raid was answered. */
  dismiss: (what: "notice" | "raid") => void;
}

/** `roomId` null: there is no room yet. */
export function useRoomChat(roomId: string | null, me: SessionUser | null, socketUrl: string | null): RoomChat {
  const [lines, setLines] = useState<ChatLine[]>([]);
  const [rules, setRules] = useState(NO_RULES);
  const [isLoading, setLoading] = useState(true);
  const [historyError, setHistoryError] = useState<unknown>(null);
  const [waitUntilMs, setWaitUntilMs] = useState(0);
  const alive = useRef(true);
  const myId = me?.id ?? null;
  const lastSentMs = useRef(0);
  const slowModeS = useRef(0);
  slowModeS.current = rules.rules?.slow_mode_s ?? 0;
  const hasAsked = useRef(false);
  const linesNow = useRef(lines);
  linesNow.current = lines;
  const load = useCallback(async () => {
    if (roomId === null) return;
    hasAsked.current = true;
    const shown = new Set(linesNow.current.map((line) => line.id));
    try {
      const page = await api.get<Page<unknown>>(`/live/${roomId}/messages`, {
        query: { limit: HISTORY_COUNT },
      });
      const history = page.items.map(readMessage).filter((message): message is ChatMessage => message !== null);
      if (!alive.current) return;
      const held = page.items.map((item) => readOwnHeld(item, myId)).filter((line): line is ChatLine => line !== null);
      const isWhole = page.items.length < HISTORY_COUNT;
      const since = isWhole ? "" : (history.at(-1)?.created_at ?? new Date().toISOString());
      setLines((known) => applyHistory(known, history, held.reverse(), { shown, since }));
      setRules((known) => applyNotices(known, page.items as ChannelEvent[], Date.now()));
      setHistoryError(null);
    } catch (error) {
      setHistoryError(error);
    } finally {
      setLoading(false);
    }
  }, [roomId, myId]);
  // History is loaded when the channel is ours, so that no line falls between the two; a socket
  // that does not come soon must not keep the old lines from the screen.
  useEffect(() => {
    alive.current = true;
    const timer = setTimeout(() => !hasAsked.current && void load(), SOCKET_PATIENCE_MS);
    return () => {
      alive.current = false;
      clearTimeout(timer);
    };
  }, [load]);
  // What we are in this chat; rules and pins come here too where no socket brings them.
  const standing = useRef<LatestWord<ChatAnswer> | null>(null);
  useEffect(() => {
    if (roomId === null) return undefined;
    const opened = new LatestWord<ChatAnswer>({
      read: () => api.get<ChatAnswer>(`/live/${roomId}/chat`),
      tell: (answer) => setRules((known) => applyChatAnswer(known, answer)),
    });
    standing.current = opened;
    void opened.ask();
    return () => opened.close();
  }, [roomId, myId]);
  const catchUp = () => {
    void load();
    void standing.current?.ask();
  };
  useChannel(
    roomId === null ? null : `room:${roomId}`,
    {
      onEvent: (event) => {
        const message = readChatEvent(event);
        if (message) setLines((known) => applyMessage(known, message));
        if (event.type === "message_deleted") setLines((known) => applyDeleted(known, event.data.message_id));
        if (event.type === "held_refused") setLines((known) => applyHeldRefused(known, event.data.held_id));
        if (event.type === "member_changed" && event.data.user.id === myId) standing.current?.overtake();
        if (event.type === "rules_changed") {
          setWaitUntilMs(lastSentMs.current + event.data.rules.slow_mode_s * 1_000);
        }
        setRules((known) => applyRoomEvent(known, event, myId));
      },
      // What was asked before the channel was ours may have changed since.
      onSubscribed: catchUp,
      onReload: catchUp,
    },
    socketUrl,
  );
  const own = makeOwnLines(roomId ?? "", me, {
    change: setLines,
    wait: (seconds) => {
      if (seconds === null) lastSentMs.current = Date.now();
      const untilMs = Date.now() + (seconds ?? slowModeS.current) * 1_000;
      setWaitUntilMs((known) => Math.max(known, untilMs));
    },
  });
  const dismiss = (what: "notice" | "raid") => setRules((known) => ({ ...known, [what]: null }));
  return { lines, rules, isLoading, historyError, waitUntilMs, ...own, reload: () => void load(), dismiss };
}

interface OwnPorts {
  change: (apply: (lines: ChatLine[]) => ChatLine[]) => void;
  /** The next line has to wait so long; null: as long as slow mode says. */
  wait: (seconds: number | null) => void;
}

/** Our own lines: shown at once, settled by the room. A repeat keeps its client id, so it counts once. */
function makeOwnLines(roomId: string, me: SessionUser | null, ports: OwnPorts): Pick<RoomChat, "send" | "retry"> {
  const change = (clientId: string, part: Partial<ChatLine>) => ports.change((known) => applyOwn(known, clientId, part));
  const deliver = (clientId: string, text: string) => {
    socket.sendChat(roomId, clientId, text).then(
      // The line itself comes back on the channel; the acknowledgement may be the first to arrive.
      (ack) => {
        change(clientId, ack.held ? { id: ack.message_id, state: "held" } : { id: ack.message_id, problem: "" });
        ports.wait(null);
      },
      (error: unknown) => {
        change(clientId, describeRefusal(error));
        if (error instanceof ApiError && error.retryAfterS !== null) ports.wait(error.retryAfterS);
      },
    );
  };
  return {
    send: (text) => {
      if (!me) return;
      const id = crypto.randomUUID();
      const created_at = new Date().toISOString();
      ports.change((known) => [...known, { id, client_id: id, user: me, text, created_at, state: "sending" }]);
      deliver(id, text);
    },
    retry: (line) => {
      if (line.client_id === null) return;
      change(line.client_id, { state: "sending", problem: "" });
      deliver(line.client_id, line.text);
    },
  };
}

function describeRefusal(error: unknown): Partial<ChatLine> {
  const isFinal = error instanceof ApiError && error.status === 403;
  return { state: "failed", problem: describeError(error), retryable: !isFinal };
}
