/** Follows a video on its way to ready: by the socket, and by asking now and then in case a word was lost. */
import { useEffect, useRef } from "preact/hooks";
import { useChannel } from "../kit/realtime";
import type { VideoProgress } from "../kit/messages";
import { isMadeAgain, type Video } from "./shapes";

const ASK_MS = 10_000;

/** True while the server still has work to do for it. */
export function isOnItsWay(video: Pick<Video, "status">): boolean {
  return video.status === "uploading" || video.status === "queued" || video.status === "processing";
}

/** `onChange` gets what changed; `onReload` is called when the whole video should be loaded again. */
export function useVideoProgress(
  video: Video | null,
  onChange: (change: VideoProgress | Pick<Video, "reencoding">) => void,
  onReload: () => void,
): void {
  const follows = video !== null && (isOnItsWay(video) || isMadeAgain(video));
  const reload = useRef(onReload);
  reload.current = onReload;
  useChannel(follows ? `video:${video.id}` : null, {
    onEvent: (event) => {
      if (event.type === "video_reencoding") {
        const { status, error } = event.data;
        if (status === "ready") return onReload();
        return onChange({ reencoding: { ...event.data, status, error: error?.message ?? null } });
      }
      if (event.type !== "video_progress") return;
      const { status, progress } = event.data;
      const mayPlayNow = !video?.playback?.hls && progress > 0;
      onChange(event.data);
      if (status === "ready" || status === "failed" || mayPlayNow) onReload();
    },
    onReload,
  });
  useEffect(() => {
    if (!follows) return undefined;
    const timer = setInterval(() => reload.current(), ASK_MS);
    return () => clearInterval(timer);
  }, [follows]);
}
