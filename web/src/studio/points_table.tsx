/** The numbers behind the charts, for screen readers and whoever wants them exactly. */
import { formatBitrate, formatClock } from "../kit/words";
import { formatDelay, formatShare, perMinute, type LivePoint } from "./health_shapes";

const COLUMNS: [string, (point: LivePoint) => string][] = [
  ["Viewers", (point) => String(point.viewers)],
  ["WebRTC", (point) => String(point.webrtc)],
  ["HLS", (point) => String(point.hls)],
  ["Chat alone", (point) => String(point.chat)],
  ["Lines per minute", (point) => perMinute(point).toFixed(0)],
  ["Viewers who suffer", (point) => formatShare(point.suffering)],
  ["Stood still", (point) => formatShare(point.stalled)],
  ["First picture after", (point) => formatDelay(point.join_ms)],
  ["Delay", (point) => formatDelay(point.latency_ms)],
  ["Bitrate in", (point) => (point.bitrate_bps === null ? "none" : formatBitrate(point.bitrate_bps))],
  ["Frames per second", (point) => (point.frames_per_s === null ? "none" : point.frames_per_s.toFixed(0))],
];

export function PointsTable({ points, caption }: { points: LivePoint[]; caption: string }) {
  return (
    <details data-testid="points-table">
      <summary>As a table</summary>
      <div class="points-table data" tabIndex={0} role="region" aria-label={caption}>
        <table>
          <caption class="visually-hidden">{caption}</caption>
          <thead>
            <tr>
              <th scope="col">Time</th>
              {COLUMNS.map(([name]) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {points.map((point) => (
              <tr key={point.at}>
                <th scope="row">
                  <time dateTime={point.at}>{formatClock(point.at)}</time>
                </th>
                {COLUMNS.map(([name, show]) => (
                  <td key={name}>{show(point)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
