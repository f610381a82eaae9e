/**
 * The one socket of this page, joined to the session, the network and whoever is at the page, and the hooks that
 * components use to listen. The address of an edge comes from `GET /v1/realtime`.
 */
import { useEffect, useRef } from "preact/hooks";
import { api } from "./api";
import { ApiError } from "./errors";
import { EventStreamWire } from "./event_stream";
import { currentUser, getAccessToken, refreshAccessToken } from "./session";
import { PageSocket, type ChannelHandlers } from "./socket";

async function locateSocket(avoid: string | null): Promise<string> {
  const answer = await api.get<{ socket: string }>("/realtime", { query: { avoid } });
  if (!answer.socket) throw new ApiError("no_edge", 503, "No edge is available right now.");
  return answer.socket;
}

export const socket = new PageSocket({
  locate: locateSocket,
  token: async (renew) => {
    const token = await getAccessToken();
    return renew ? refreshAccessToken(token) : token;
  },
  // Asking for another token finds out that the session is over, and then says so everywhere.
  onRevoked: () =>
    void getAccessToken()
      .then(refreshAccessToken)
      .catch(() => undefined),
  open: (url) => new WebSocket(url),
  openStream: (url) => new EventStreamWire(url),
});

/** Restarts the socket when another person logs in, and hurries it when the network returns. */
export function followSession(): void {
  let known = currentUser.get()?.id ?? null;
  currentUser.subscribe((user) => {
    if ((user?.id ?? null) === known) return;
    known = user?.id ?? null;
    socket.restart();
  });
  window.addEventListener("online", () => {
    if (socket.state.get() !== "open") socket.restart();
  });
}

const LEFT_AFTER_MS = 60_000;
const ACTIVE_EVERY_MS = 60_000;

/** Tells whether somebody is at the page: not after a minute out of sight, and again at the first sign. */
export function followAttention(): void {
  let isAttended = true;
  let toldMs = Date.now();
  let leaving: ReturnType<typeof setTimeout> | undefined;
  const attend = () => {
    if (document.hidden) return;
    clearTimeout(leaving);
    if (isAttended && Date.now() - toldMs < ACTIVE_EVERY_MS) return;
    isAttended = true;
    toldMs = Date.now();
    socket.noteAttention(true);
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return attend();
    leaving = setTimeout(() => {
      isAttended = false;
      socket.noteAttention(false);
    }, LEFT_AFTER_MS);
  });
  for (const sign of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) {
    window.addEventListener(sign, attend, { passive: true });
  }
}

/** Hears the events of a channel while the component is shown; null listens to nothing. */
export function useChannel(channel: string | null, handlers: ChannelHandlers, urlHint: string | null = null): void {
  const latest = useRef(handlers);
  latest.current = handlers;
  useEffect(() => {
    if (channel === null) return undefined;
    return socket.subscribe(
      channel,
      {
        onEvent: (event) => latest.current.onEvent(event),
        onSubscribed: () => latest.current.onSubscribed?.(),
        onReload: () => latest.current.onReload?.(),
        onRefused: () => latest.current.onRefused?.(),
      },
      urlHint,
    );
  }, [channel]);
}
