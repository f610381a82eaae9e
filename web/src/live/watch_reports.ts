/** Tells the room how watching goes, for the streamer's eyes: looks at the player twice a second, speaks rarely. */
import { useEffect } from "preact/hooks";
import { nameLayer } from "../kit/layers";
import { socket } from "../kit/realtime";
import type { LivePlayer } from "./live_player";
import { WatchMeter } from "./watch_meter";
import { LIVE_WITHIN_S } from "./ways";

const LOOK_MS = 500;

export function useWatchReports(
  liveId: string,
  video: { current: HTMLVideoElement | null },
  player: LivePlayer | null,
  isOnAir: boolean,
): void {
  useEffect(() => {
    if (!player || !isOnAir) return undefined;
    const meter = new WatchMeter();
    const look = async () => {
      const { way, isPaused, behindS, latencyS } = player.state.get();
      const counts = await player.readCounts().catch(() => null);
      const report = meter.look({
        nowMs: performance.now(),
        way,
        positionS: video.current?.currentTime ?? 0,
        shouldPlay: !isPaused && !document.hidden,
        latencyS: behindS < LIVE_WITHIN_S ? latencyS : null,
        counts,
      });
      if (!report) return;
      socket.sendWatchReport({ type: "watch_report", room: liveId, rung: nameShown(video.current), ...report });
    };
    const timer = setInterval(() => void look(), LOOK_MS);
    return () => clearInterval(timer);
  }, [liveId, player, isOnAir]);
}

/** The quality that is on screen now; empty before the first picture. */
export function nameShown(video: Pick<HTMLVideoElement, "videoWidth" | "videoHeight"> | null): string {
  return video && video.videoWidth > 0 ? nameLayer({ width: video.videoWidth, height: video.videoHeight }) : "";
}
