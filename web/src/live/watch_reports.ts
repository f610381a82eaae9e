/** Tells the room how watching goes, for the streamer's eyes: looks at the player twice a second, speaks rarely. */
import { useEffect } from "preact/hooks";
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
      const packets = await player.readPackets().catch(() => null);
      const report = meter.look({
        nowMs: performance.now(),
        way,
        positionS: video.current?.currentTime ?? 0,
        shouldPlay: !isPaused && !document.hidden,
        latencyS: behindS < LIVE_WITHIN_S ? latencyS : null,
        packets,
      });
      if (report) socket.sendWatchReport({ type: "watch_report", room: liveId, rung: "", ...report });
    };
    const timer = setInterval(() => void look(), LOOK_MS);
    return () => clearInterval(timer);
  }, [liveId, player, isOnAir]);
}
