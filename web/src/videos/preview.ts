/** When a card plays the few seconds of its video: for a mouse that rests on it, or the keyboard's focus. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

/** So long the mouse or the focus has to stay. */
export const DELAY_MS = 500;

export interface Wishes {
  /** Whether somebody asked for less motion, or for less data. */
  reducedMotion: boolean;
  savesData: boolean;
}

/** Whether a card may move at all. */
export function mayPreview(url: string | null | undefined, wishes: Wishes): url is string {
  return Boolean(url) && !wishes.reducedMotion && !wishes.savesData;
}

function readWishes(): Wishes {
  const connection = (navigator as { connection?: { saveData?: boolean } }).connection;
  return {
    reducedMotion: matchMedia("(prefers-reduced-motion: reduce)").matches,
    savesData: connection?.saveData === true || matchMedia("(prefers-reduced-data: reduce)").matches,
  };
}

interface Handlers {
  onPointerEnter: (event: PointerEvent) => void;
  onPointerLeave: () => void;
  onFocusIn: (event: FocusEvent) => void;
  onFocusOut: () => void;
}

/** The address to play while it should, and what the card listens to. A finger starts nothing. */
export function usePreview(url: string | null | undefined): { shown: string | null; handlers: Handlers } {
  const [shown, setShown] = useState<string | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const stop = useCallback(() => {
    clearTimeout(timer.current);
    setShown(null);
  }, []);
  useEffect(() => stop, [stop, url]);
  const wait = () => {
    clearTimeout(timer.current);
    if (!mayPreview(url, readWishes())) return;
    timer.current = setTimeout(() => setShown(url), DELAY_MS);
  };
  return {
    shown,
    handlers: {
      onPointerEnter: (event) => event.pointerType === "mouse" && wait(),
      onPointerLeave: stop,
      onFocusIn: (event) => event.target instanceof Element && event.target.matches(":focus-visible") && wait(),
      onFocusOut: stop,
    },
  };
}
