/** Which video a live became; asked a few times, since it becomes one a moment after its end. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../kit/api";
import type { Live } from "./shapes";

/** Longer than an edge that died is waited for: until then nobody can tell that there will be none. */
const RECORDING_LOOKS = 25;
const RECORDING_EVERY_MS = 2_000;

/** What the server says of it, newest last. */
export type Kept = Pick<Live, "record" | "recording_id" | "nothing_kept">;

/** The video once there is one, or that there will be none. */
export function useRecording(live: Live, isEnded: boolean): Kept {
  const [kept, setKept] = useState<Kept>(live);
  const isSettled = !kept.record || kept.recording_id !== null || kept.nothing_kept;
  useEffect(() => {
    if (!isEnded || isSettled) return undefined;
    let looks = 0;
    const timer = setInterval(() => {
      looks += 1;
      if (looks > RECORDING_LOOKS) return clearInterval(timer);
      api.get<Live>(`/live/${live.id}`).then(
        setKept,
        () => undefined, // the next look asks again
      );
    }, RECORDING_EVERY_MS);
    return () => clearInterval(timer);
  }, [live.id, isEnded, isSettled]);
  return kept;
}
