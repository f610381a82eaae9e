/** The present moment as components see it: ticks while something on screen counts down, else rests. */
import { useEffect, useState } from "preact/hooks";

/** Milliseconds since 1970; renewed every `everyMs` until `untilMs` has passed. */
export function useNow(untilMs: number, everyMs = 1_000): number {
  const [nowMs, setNowMs] = useState(() => Date.now());
  const isOver = untilMs <= nowMs;
  useEffect(() => {
    setNowMs(Date.now());
    if (untilMs <= Date.now()) return undefined;
    const timer = setInterval(() => setNowMs(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [untilMs, everyMs, isOver]);
  return nowMs;
}
