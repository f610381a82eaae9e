/** Keys pressed anywhere on a page that has a player, of a video or of a live. */
import { useLayoutEffect, useRef } from "preact/hooks";
import { decideCommand, type KeyRole, type PlayerCommand } from "./keys";

/** Runs what a key means to the player in `root`, wherever nobody writes. */
export function usePlayerKeys(root: { current: HTMLDivElement | null }, run: (command: PlayerCommand) => void): void {
  const latest = useRef(run);
  latest.current = run;
  // With what is shown, not a moment later: a key that is pressed at once must not be lost.
  useLayoutEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (document.querySelector("dialog[open]")) return;
      const role = findRole(root.current, event.target instanceof Element ? event.target : document.body);
      const command = role && decideCommand(event.key, role);
      if (!command) return;
      event.preventDefault();
      latest.current(command);
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);
}

/** What has the focus; null where all keys are its own. */
function findRole(root: HTMLDivElement | null, target: Element): KeyRole | null {
  const isInside = root?.contains(target) ?? false;
  if (!isInside) return target.closest("input, textarea, select, button, a, [contenteditable]") ? null : "page";
  if (target.closest("input")) return "slider";
  if (target.closest("select")) return "list";
  return target.closest("button") ? "button" : "player";
}
