/** What is made of a video while its file is still being sent, as its channel says it. */
import { useState } from "preact/hooks";
import type { VideoHeadStart } from "../kit/messages";
import { useChannel } from "../kit/realtime";

/** The latest word of it; null while there is none, or nobody should listen (`videoId` is null). */
export function useHeadStart(videoId: string | null): VideoHeadStart | null {
  const [known, setKnown] = useState<VideoHeadStart | null>(null);
  useChannel(videoId === null ? null : `video:${videoId}`, {
    onEvent: (event) => {
      if (event.type === "video_head_start") setKnown(event.data);
    },
  });
  return known;
}

/** What its owner reads beside how much was sent; null: nothing worth saying. */
export function describeHeadStart(known: VideoHeadStart | null): string | null {
  if (known === null) return null;
  if (known.progress > 0) return `Encoding alongside: ${Math.floor(known.progress * 100)} %`;
  return known.reason ? `Encoding waits for the rest. ${known.reason}` : null;
}
