/** Reminds, on every page but the control room, that this tab is sending a picture. */
import { useStore } from "../kit/store";
import { onAir } from "../studio/on_air";
import { useEffect } from "preact/hooks";

export function OnAirBar({ path }: { path: string }) {
  const present = useStore(onAir);
  useEffect(() => {
    if (!present) return undefined;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [present]);
  if (!present || path === "/studio/live") return null;
  return (
    <aside class="on-air-bar" aria-label="You are on air">
      <span class="clip">
        <strong>On air:</strong> {present.title}
      </span>
      <a href={`/studio/live?live=${present.liveId}`}>Back to the control room</a>
    </aside>
  );
}
