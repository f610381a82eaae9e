/** How a live went: peak, visitors, time watched, and the curves, with their numbers. */
import { api } from "../kit/api";
import { Icon } from "../kit/icons";
import { useLoad } from "../kit/load";
import { useTitle } from "../kit/router";
import { saveTable } from "../kit/save_table";
import { Empty, Failure, Skeleton } from "../kit/states";
import { formatBitrate, formatDuration } from "../kit/words";
import type { PageProps } from "../shell/routes";
import { Chart } from "./chart";
import { formatShare, listViewerLines, perMinute, type LiveAnalytics } from "./health_shapes";
import { PointsTable } from "./points_table";
import "./live_page.css";

export default function AnalyticsPage({ parameters }: PageProps) {
  useTitle("How it went");
  const id = parameters["id"] ?? "";
  const loaded = useLoad<LiveAnalytics>(id, (signal) => api.get(`/live/${id}/analytics`, { signal }));
  if (loaded.error !== null) {
    return (
      <div class="page narrow">
        <Failure level={1} title="The numbers did not load" error={loaded.error} onRetry={loaded.reload} />
      </div>
    );
  }
  if (!loaded.data) {
    return (
      <div class="page">
        <h1 class="visually-hidden">How it went</h1>
        <Skeleton shape="post" />
      </div>
    );
  }
  return <Report went={loaded.data} />;
}

function Report({ went }: { went: LiveAnalytics }) {
  const { points, watched_s: watched } = went;
  const times = points.map((point) => point.at);
  const total = watched.webrtc + watched.hls;
  const figures: [string, string][] = [
    ["Most at once", String(went.viewers_peak)],
    ["Different visitors", String(went.visitors)],
    ["Time watched", formatDuration(total)],
    ["By WebRTC", formatShare(total > 0 ? watched.webrtc / total : null)],
    ["By HLS", formatShare(total > 0 ? watched.hls / total : null)],
    ["Chat lines", String(went.lines)],
  ];
  return (
    <div class="page stack" data-testid="live-analytics">
      <header class="page-head full">
        <h1>{went.title}</h1>
        <button type="button" class="button" data-testid="analytics-csv" onClick={() => void saveTable(`/live/${went.live_id}/analytics.csv`, `live-${went.live_id}.csv`)}>
          <Icon name="copy" size={20} /> Save as CSV
        </button>
      </header>
      <dl class="figures">
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {points.length === 0 ? (
        <Empty title="Nothing was measured">
          <p class="muted">Numbers are kept from ten seconds on air.</p>
        </Empty>
      ) : (
        <>
          <h2>Over time</h2>
          <div class="charts">
            <Chart title="Viewers" times={times} lines={listViewerLines(points)} format={(value) => value.toFixed(0)} />
            <Chart
              title="Chat lines per minute"
              times={times}
              lines={[{ name: "Lines", values: points.map(perMinute) }]}
              format={(value) => value.toFixed(0)}
            />
            <Chart
              title="Viewers who suffer"
              times={times}
              lines={[{ name: "Viewers who suffer", values: points.map((point) => point.suffering) }]}
              format={formatShare}
            />
            <Chart
              title="Bitrate in"
              times={times}
              lines={[{ name: "Bitrate in", values: points.map((point) => point.bitrate_bps) }]}
              format={formatBitrate}
            />
          </div>
          <PointsTable points={points} caption={`How “${went.title}” went`} />
        </>
      )}
    </div>
  );
}
