/** The keyboard's place in a list whose items can be removed. */
import { useLayoutEffect, useRef } from "preact/hooks";

/**
 * Call what it returns with the index of the item that is being removed: once it has gone, the focus
 * it took along goes to the control that stands in its place, or to the last one.
 */
export function useKeptPlace(
  root: { current: HTMLElement | null },
  count: number,
  controls: string,
): (index: number) => void {
  const left = useRef<number | null>(null);
  const before = useRef(count);
  useLayoutEffect(() => {
    const index = left.current;
    const isFewer = count < before.current;
    before.current = count;
    if (!isFewer || index === null) return;
    left.current = null;
    if (document.activeElement !== document.body) return; // somebody went elsewhere meanwhile
    const known = root.current?.querySelectorAll<HTMLElement>(controls) ?? [];
    known[Math.min(index, known.length - 1)]?.focus();
  }, [count]);
  return (index) => {
    left.current = index;
  };
}
