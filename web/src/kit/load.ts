/**
 * Loading data into components: one thing (`useLoad`) or a list page by page (`usePages`).
 * Answers that come after the component moved on are dropped.
 */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { api, type Page } from "./api";
import { showError } from "./toasts";

export interface Loaded<T> {
  data: T | null;
  error: unknown;
  loading: boolean;
  reload: () => void;
  change: (apply: (data: T) => T) => void;
}

/** Runs `load` now and whenever `key` changes; keeps the old data on screen while reloading. */
export function useLoad<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{
    key: string | null;
    data: T | null;
    error: unknown;
    loading: boolean;
  }>({
    key,
    data: null,
    error: null,
    loading: key !== null,
  });
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (key === null) return undefined;
    const controller = new AbortController();
    setState((old) => ({ key, data: old.key === key ? old.data : null, error: null, loading: true }));
    load(controller.signal).then(
      (data) => !controller.signal.aborted && setState({ key, data, error: null, loading: false }),
      (error: unknown) => !controller.signal.aborted && setState((old) => ({ ...old, error, loading: false })),
    );
    return () => controller.abort();
  }, [key, round]);
  const reload = useCallback(() => setRound((value) => value + 1), []);
  const change = useCallback(
    (apply: (data: T) => T) => setState((old) => (old.data === null ? old : { ...old, data: apply(old.data) })),
    [],
  );
  return { data: state.data, error: state.error, loading: state.loading, reload, change };
}

/** Loads what a dialog cannot open without: null until it is there; when it does not come, says why and calls `onMissing`. */
export function useNeeded<T>(path: string, onMissing: () => void): T | null {
  const { data, error } = useLoad(path, (signal) => api.get<T>(path, { signal }));
  useEffect(() => {
    if (error === null) return;
    showError(error);
    onMissing();
  }, [error]);
  return data;
}

export interface Pages<T> {
  items: T[];
  error: unknown;
  loading: boolean;
  hasMore: boolean;
  more: () => void;
  reload: () => void;
  change: (apply: (items: T[]) => T[]) => void;
}

interface PagesState<T> {
  items: T[];
  cursor: string | null;
  error: unknown;
  loading: boolean;
}

/** A cursor list at `path`; an item seen twice (by `id`) is kept once. */
export function usePages<T extends { id: string }>(
  path: string | null,
  query: Record<string, string | number> = {},
): Pages<T> {
  const empty: PagesState<T> = { items: [], cursor: null, error: null, loading: path !== null };
  const [state, setState] = useState<PagesState<T>>(empty);
  const running = useRef<AbortController | null>(null);
  const load = useCallback(
    (cursor: string | null) => {
      if (path === null) return;
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      setState((old) => ({ ...old, loading: true, error: null }));
      api.get<Page<T>>(path, { query: { ...query, cursor }, signal: controller.signal }).then(
        (page) => {
          if (!controller.signal.aborted) setState((old) => applyPage(cursor === null ? [] : old.items, page));
        },
        (error: unknown) => {
          if (!controller.signal.aborted) setState((old) => ({ ...old, error, loading: false }));
        },
      );
    },
    [path, JSON.stringify(query)],
  );
  useEffect(() => {
    setState(empty);
    load(null);
    return () => running.current?.abort();
  }, [load]);
  return {
    items: state.items,
    error: state.error,
    loading: state.loading,
    hasMore: state.cursor !== null,
    more: () => state.cursor !== null && !state.loading && load(state.cursor),
    reload: () => load(null),
    change: (apply) => setState((old) => ({ ...old, items: apply(old.items) })),
  };
}

function applyPage<T extends { id: string }>(known: T[], page: Page<T>): PagesState<T> {
  const seen = new Set(known.map((item) => item.id));
  const fresh = page.items.filter((item) => !seen.has(item.id));
  return { items: [...known, ...fresh], cursor: page.next_cursor, error: null, loading: false };
}
