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
  type ChatLine,
  type ChatMessage,
} from "./shapes";
import { applyRoomEvent, NO_RULES, type ChatRules } from "./room_rules";

const HISTORY_COUNT = 50;
const SOCKET_PATIENCE_MS = 1_200;

export interface RoomChat {
  lines: ChatLine[];
  rules: ChatRules;
  isLoading: boolean;
  historyError: unknown;
  send: (text: string) => void;
  retry: (line: ChatLine) => void;
  reload: () => void;
}

export function useRoomChat(roomId: string, me: SessionUser | null, socketUrl: string | null): RoomChat {
  const [lines, setLines] = useState<ChatLine[]>([]);
  const [rules, setRules] = useState(NO_RULES);
  const [isLoading, setLoading] = useState(true);
  const [historyError, setHistoryError] = useState<unknown>(null);
  const alive = useRef(true);
  const hasAsked = useRef(false);
  const load = useCallback(async () => {
    hasAsked.current = true;
    try {
      const page = await api.get<Page<unknown>>(`/live/${roomId}/messages`, {
        query: { limit: HISTORY_COUNT },
      });
      const history = page.items.map(readMessage).filter((message): message is ChatMessage => message !== null);
      if (alive.current) setLines((known) => applyHistory(known, history));
      setHistoryError(null);
    } catch (error) {
      setHistoryError(error);
    } finally {
      setLoading(false);
    }
  }, [roomId]);
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
  useChannel(
    `room:${roomId}`,
    {
      onEvent: (event) => {
        const message = readChatEvent(event);
        if (message) setLines((known) => applyMessage(known, message));
        const data = event.data as { message_id?: string; held_id?: string };
        if (event.type === "message_deleted") setLines((known) => applyDeleted(known, data.message_id ?? ""));
        if (event.type === "held_refused") setLines((known) => applyHeldRefused(known, data.held_id ?? ""));
        setRules((known) => applyRoomEvent(known, event, me?.id ?? null));
      },
      onSubscribed: () => void load(),
      onReload: () => void load(),
    },
    socketUrl,
  );
  const own = makeOwnLines(roomId, me, setLines);
  return { lines, rules, isLoading, historyError, ...own, reload: () => void load() };
}

type ChangeLines = (apply: (lines: ChatLine[]) => ChatLine[]) => void;

/** Our own lines: shown at once, settled by the room. A repeat keeps its client id, so it counts once. */
function makeOwnLines(roomId: string, me: SessionUser | null, setLines: ChangeLines): Pick<RoomChat, "send" | "retry"> {
  const change = (clientId: string, part: Partial<ChatLine>) => setLines((known) => applyOwn(known, clientId, part));
  const deliver = (clientId: string, text: string) => {
    socket.sendChat(roomId, clientId, text).then(
      // The line itself comes back on the channel; the acknowledgement may be the first to arrive.
      (ack) => change(clientId, ack.held ? { id: ack.message_id, state: "held" } : { id: ack.message_id, problem: "" }),
      (error: unknown) => change(clientId, describeRefusal(error)),
    );
  };
  return {
    send: (text) => {
      if (!me) return;
      const id = crypto.randomUUID();
      const created_at = new Date().toISOString();
      setLines((known) => [...known, { id, client_id: id, user: me, text, created_at, state: "sending" }]);
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
