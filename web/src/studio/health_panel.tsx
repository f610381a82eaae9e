/** How the live goes, for whoever sends: what comes in, who watches by which way, and who suffers. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../kit/api";
import { formatBitrate } from "../kit/words";
import { Chart } from "./chart";
import {
  formatDelay,
  formatFreezes,
  formatRungs,
  formatShare,
  listViewerLines,
  type LiveHealth,
} from "./health_shapes";
import { describeHlsOff, type HlsOff } from "./kept_words";
import { PointsTable } from "./points_table";

const EVERY_MS = 5_000;

interface HealthPanelProps {
  liveId: string;
  /** Told why nothing is recorded, or that it is; still known when the live has ended. */
  onRecording: (off: HlsOff | null) => void;
}

export function HealthPanel({ liveId, onRecording }: HealthPanelProps) {
  const health = useHealth(liveId, onRecording);
  return health && <Health health={health} />;
}

function Health({ health }: { health: LiveHealth }) {
  const { ingest, quality, points } = health;
  const told = Object.values(quality.players).reduce((sum, count) => sum + count, 0);
  const figures: [string, string][] = [
    ["Comes in", ingest ? formatBitrate(ingest.bitrate_bps) : "nothing"],
    ["Frames", ingest ? `${ingest.frames_per_s.toFixed(0)} fps` : "none"],
    ["Keyframes", ingest?.keyframe_ms ? `every ${(ingest.keyframe_ms / 1000).toFixed(1)} s` : "unknown"],
    ["Lost on the way in", ingest ? (ingest.packet_loss === null ? "none (RTMP)" : formatShare(ingest.packet_loss)) : "unknown"],
    ["Viewers who suffer", told > 0 ? `${formatShare(quality.suffering)} of ${told}` : "unknown"],
    ["Stood still lately", formatFreezes(quality)],
    ["Lost on the way out", formatShare(quality.loss)],
    ["First picture after", formatDelay(quality.join_ms)],
    ["Delay", formatDelay(quality.latency_ms)],
    ["Qualities watched", formatRungs(quality.rungs)],
    ["Visitors so far", String(health.visitors)],
  ];
  const times = points.map((point) => point.at);
  return (
    <section class="stack" aria-labelledby="health-title" data-testid="health-panel">
      <h2 id="health-title">How it goes</h2>
      {ingest?.hls_off && (
        <p class="problem" role="alert" data-testid="hls-off">
          {describeHlsOff(ingest.hls_off)}
        </p>
      )}
      {ingest?.has_b_frames && (
        <p class="problem" role="alert" data-testid="b-frames">
          The encoder sends B-frames, which WebRTC cannot show: viewers have HLS alone, some seconds behind. Set B-frames
          to 0 in the encoder (in OBS: Output, Advanced) and go live again.
        </p>
      )}
      <dl class="figures">
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {points.length > 1 && (
        <>
          <div class="charts">
            <Chart
              title="Bitrate in"
              times={times}
              lines={[{ name: "Bitrate in", values: points.map((point) => point.bitrate_bps) }]}
              format={formatBitrate}
            />
            <Chart title="Viewers" times={times} lines={listViewerLines(points)} format={(value) => value.toFixed(0)} />
            <Chart
              title="Viewers who suffer"
              times={times}
              lines={[{ name: "Viewers who suffer", values: points.map((point) => point.suffering) }]}
              format={formatShare}
            />
          </div>
          <PointsTable points={points} caption="The last ten minutes" />
        </>
      )}
    </section>
  );
}

/** Asked again and again; what could not be had leaves the last answer standing. */
function useHealth(liveId: string, onRecording: (off: HlsOff | null) => void): LiveHealth | null {
  const [health, setHealth] = useState<LiveHealth | null>(null);
  useEffect(() => {
    setHealth(null);
    const gone = new AbortController();
    const ask = () =>
      void api
        .get<LiveHealth>(`/live/${liveId}/health`, { signal: gone.signal })
        .then((known) => {
          setHealth(known);
          if (known.ingest) onRecording(known.ingest.hls_off);
        })
        .catch(() => undefined);
    ask();
    const timer = setInterval(ask, EVERY_MS);
    return () => {
      gone.abort();
      clearInterval(timer);
    };
  }, [liveId, onRecording]);
  return health;
}
