/** Looks at the trash again while something is about to leave it, and changes the known list by what is found. */
import { useCallback, useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { api, type Page } from "../kit/api";
import type { Pages } from "../kit/load";
import { findOldestLeaving, isLeaving, isReached, mergeTrashed, type TrashedVideo, type TrashLook } from "./trash";

const LOOK_EVERY_MS = 5_000;
const PAGE_ITEMS = 100;
/** So many pages a look asks for at most; what leaves further down is seen to be gone when the page is loaded again. */
export const LOOK_PAGES_MAX = 20;

type Ask = (cursor: string | null) => Promise<Page<TrashedVideo>>;

/** Asks page by page until every entry is there that was deleted at `until` or later. */
export async function lookUntil(until: string, ask: Ask): Promise<TrashLook> {
  let look: TrashLook = { items: [], isWhole: false };
  let cursor: string | null = null;
  for (let pages = 0; pages < LOOK_PAGES_MAX && !isReached(look, until); pages++) {
    const page: Page<TrashedVideo> = await ask(cursor);
    cursor = page.next_cursor;
    look = { items: [...look.items, ...page.items], isWhole: cursor === null };
  }
  return look;
}

interface Looks {
  /** Has the answer that is on its way ignored: to be called with every change made here. */
  forget: () => void;
}

/** No look is taken while paused. Focus that a look takes away goes to its row, or `onFocusLost` is called. */
export function useTrashLooks(pages: Pages<TrashedVideo>, isPaused: boolean, onFocusLost: () => void): Looks {
  const latest = useRef(pages);
  latest.current = pages;
  const running = useRef<AbortController | null>(null);
  const focused = useRef<HTMLElement | null>(null);
  const forget = useCallback(() => {
    running.current?.abort();
    running.current = null;
  }, []);
  const look = async () => {
    const until = findOldestLeaving(latest.current.items);
    if (until === null || running.current !== null) return;
    const controller = new AbortController();
    const { signal } = controller;
    running.current = controller;
    try {
      const found = await lookUntil(until, (cursor) =>
        api.get<Page<TrashedVideo>>("/trash", { query: { limit: PAGE_ITEMS, cursor }, signal }),
      );
      if (signal.aborted) return;
      focused.current = document.activeElement?.closest<HTMLElement>("[data-video-id]") ?? null;
      latest.current.change((known) => mergeTrashed(known, found));
    } catch {
      // The next look asks again.
    } finally {
      if (running.current === controller) running.current = null;
    }
  };
  const isLooking = isLeaving(pages.items) && !isPaused;
  useEffect(() => {
    if (!isLooking) return undefined;
    const timer = setInterval(() => void look(), LOOK_EVERY_MS);
    return () => {
      clearInterval(timer);
      forget();
    };
  }, [isLooking]);
  useLayoutEffect(() => {
    const row = focused.current;
    focused.current = null;
    if (row === null || document.activeElement !== document.body) return;
    if (row.isConnected) row.focus();
    else onFocusLost();
  });
  return { forget };
}
