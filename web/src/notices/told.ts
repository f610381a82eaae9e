/** What the person was told: loaded once the socket is there, changed by it, marked as seen. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { api } from "../kit/api";
import { useChannel } from "../kit/realtime";
import { addNotice, addPage, readNotice, type Notice, type Told } from "./shapes";

/** Without a socket the list is loaded after so long all the same. */
const PATIENCE_MS = 4_000;

export interface TellState {
  told: Told | null;
  error: unknown;
  isLoading: boolean;
  /** What came last over the socket, to be read out. */
  latest: Notice | null;
  more: () => void;
  reload: () => void;
  markSeen: () => void;
}

export function useTold(userId: string): TellState {
  const [told, setTold] = useState<Told | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [isLoading, setLoading] = useState(true);
  const [latest, setLatest] = useState<Notice | null>(null);
  const running = useRef<AbortController | null>(null);

  const load = useCallback((cursor: string | null) => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setLoading(true);
    setError(null);
    api
      .get<Told>("/notices", { query: { cursor }, signal: controller.signal })
      .then((page) => {
        if (!controller.signal.aborted) setTold((old) => (cursor === null || old === null ? page : addPage(old, page)));
      })
      .catch((problem: unknown) => !controller.signal.aborted && setError(problem))
      .finally(() => !controller.signal.aborted && setLoading(false));
  }, []);
  const reload = useCallback(() => load(null), [load]);

  useEffect(() => {
    const timer = setTimeout(() => running.current === null && reload(), PATIENCE_MS);
    return () => {
      clearTimeout(timer);
      running.current?.abort();
    };
  }, [reload]);
  useChannel(`user:${userId}`, {
    onSubscribed: reload,
    onReload: reload,
    onEvent: (event) => {
      const notice = readNotice(event);
      if (notice) {
        setLatest(notice);
        setTold((old) => (old === null ? old : addNotice(old, notice)));
      } else if (event.type === "notices_seen") {
        const { unseen } = event.data;
        setTold((old) => (old === null ? old : { ...old, unseen }));
      }
    },
  });
  return {
    told,
    error,
    isLoading,
    latest,
    more: () => told?.next_cursor && !isLoading && load(told.next_cursor),
    reload,
    markSeen: () => {
      const newest = told?.items[0];
      if (!newest || told.unseen === 0) return;
      setTold((old) => (old === null ? old : { ...old, unseen: 0 }));
      // When it fails they count as unseen on the next page: nothing is lost.
      void api.post("/notices/seen", { offset: newest.offset }).catch(() => undefined);
    },
  };
}
