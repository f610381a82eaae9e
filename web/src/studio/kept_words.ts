/** What a streamer is told while nothing is recorded, and of what was kept. Pure. */
import type { Kept } from "../live/recording";

/** Why there is no HLS, and no recording; without a codec no picture comes. */
export interface HlsOff {
  codec: string | null;
}

export function describeHlsOff({ codec }: HlsOff): string {
  if (codec === null) {
    return "No picture comes in: viewers have the sound by WebRTC alone, and nothing is recorded. Add a camera or a screen.";
  }
  return (
    `The picture comes in as ${codec}: viewers have it by WebRTC alone, and nothing is recorded. ` +
    "To have both, choose H.264 where you send from, go live from another browser, or send from OBS."
  );
}

/** `lastOff`: why nothing was recorded when media was last seen to come in, as far as this page knows. */
export function describeKept(kept: Kept, lastOff: HlsOff | null): string {
  if (kept.recording_id !== null) return "It is kept as a video.";
  if (!kept.record) return "It was not recorded.";
  if (!kept.nothing_kept) return "There is no recording of it now. One that is being made appears here by itself.";
  if (lastOff === null) return "Nothing of it was kept: no picture of it was stored. What a browser sends has to be H.264.";
  if (lastOff.codec === null) return "Nothing of it was kept: no picture came in.";
  return `Nothing of it was kept: the picture came in as ${lastOff.codec}, which cannot be recorded. H.264 can.`;
}
