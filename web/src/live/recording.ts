/** Which video a live became; asked a few times, since it becomes one a moment after its end. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../kit/api";
import type { Live } from "./shapes";

const RECORDING_LOOKS = 8;
const RECORDING_EVERY_MS = 2_000;

/** The id of the video once there is one. */
export function useRecording(live: Live, isEnded: boolean): string | null {
  const [id, setId] = useState(live.recording_id);
  useEffect(() => {
    if (!isEnded || id !== null || !live.record) return undefined;
    let looks = 0;
    const timer = setInterval(() => {
      looks += 1;
      if (looks > RECORDING_LOOKS) return clearInterval(timer);
      api.get<Live>(`/live/${live.id}`).then(
        (known) => setId(known.recording_id),
        () => undefined, // the next look asks again
      );
    }, RECORDING_EVERY_MS);
    return () => clearInterval(timer);
  }, [live.id, isEnded, id]);
  return id;
}
