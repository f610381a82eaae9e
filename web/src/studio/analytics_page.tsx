/** The numbers of one of one's own videos: live now, by day, where it was left, from where and on what. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Chart } from "../kit/chart";
import { Icon } from "../kit/icons";
import { useLoad } from "../kit/load";
import { useTitle } from "../kit/router";
import { saveTable } from "../kit/save_table";
import { Failure, Skeleton } from "../kit/states";
import { formatCount, formatDuration } from "../kit/words";
import type { PageProps } from "../shell/routes";
import type { Video } from "../videos/shapes";
import { describeWatched, listEngagement, listMinutes, listRetention, listViews, nameCountries, type Analytics } from "./analytics";
import "./analytics_page.css";

const RANGES = [7, 28, 90, 365] as const;
const ASK_MS = 15_000;

export default function AnalyticsPage({ parameters }: PageProps) {
  const id = parameters["video"] ?? "";
  const [days, setDays] = useState<number>(28);
  const video = useLoad<Video>(id, (signal) => api.get<Video>(`/videos/${id}`, { signal }));
  const found = useLoad<Analytics>(`${id} ${days}`, (signal) =>
    api.get<Analytics>(`/videos/${id}/analytics`, { query: { days }, signal }),
  );
  useTitle(video.data ? `Numbers of ${video.data.title}` : null);
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && found.reload(), ASK_MS);
    return () => clearInterval(timer);
  }, [found.reload]);
  return (
    <div class="page">
      <header class="page-head full">
        <div>
          <a class="data" href="/studio">
            Studio
          </a>
          <h1>{video.data?.title ?? "Video"}</h1>
        </div>
        <div class="row tight">
          <label class="data">
            <span class="visually-hidden">Range</span>
            <select class="input" value={days} onChange={(event) => setDays(Number(event.currentTarget.value))}>
              {RANGES.map((range) => (
                <option key={range} value={range}>
                  {range} days
                </option>
              ))}
            </select>
          </label>
          {found.data && (
            <button
              type="button"
              class="button"
              data-testid="analytics-csv"
              onClick={() => void saveTable(`/videos/${id}/analytics.csv?days=${days}`, `video-${id}.csv`)}
            >
              <Icon name="download" size={18} /> CSV
            </button>
          )}
        </div>
      </header>
      {found.error !== null && !found.data && <Failure error={found.error} onRetry={found.reload} />}
      {found.data ? <Numbers found={found.data} /> : found.error === null && <Skeleton shape="line" count={4} />}
    </div>
  );
}

function Numbers({ found }: { found: Analytics }) {
  const { experience } = found;
  const average = found.sessions > 0 ? found.watched_ms / found.sessions / 1000 : 0;
  return (
    <>
      <dl class="numbers" data-testid="analytics">
        <Figure name="Watching now" value={formatCount(found.watching_now)} />
        <Figure name="Views" value={formatCount(found.views)} />
        <Figure name="Watched" value={describeWatched(found.watched_ms)} />
        <Figure name="On average" value={formatDuration(average)} />
        <Figure name="Likes" value={formatCount(found.likes)} />
        <Figure name="Comments" value={formatCount(found.comments)} />
        <Figure name="Shares" value={formatCount(found.shares)} />
        <Figure name="First picture" value={experience.start_ms === null ? "–" : `${experience.start_ms} ms`} />
        <Figure name="Stalled" value={`${(experience.stalled_share * 100).toFixed(1)} %`} />
        <Figure name="Quality changes" value={experience.switches.toFixed(1)} />
      </dl>
      <div class="charts">
        <Chart title="Views by day" points={listViews(found)} />
        <Chart title="Minutes watched by day" points={listMinutes(found)} />
        <Chart title="Likes, comments and shares by day" points={listEngagement(found)} />
        <Chart
          title="How many still watch, by part"
          points={listRetention(found)}
          most={100}
          format={(value) => `${Math.round(value)} %`}
        />
      </div>
      <div class="charts">
        <Shares title="Where they come from" counts={found.sources} />
        <Shares title="What they watch on" counts={found.devices} />
        <Shares title="Where they are" counts={nameCountries(found, undefined)} />
      </div>
      <p class="data muted">
        A view is half of the video or 30 seconds of it. Bots, yourself, and the same viewer again within 30 minutes are not
        counted. Likes and comments are those of that time that still stand; who shares counts once a day. Countries are told by addresses, which are not kept, with GeoLite2 data created by MaxMind (maxmind.com); it knows
        no private addresses.
      </p>
    </>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt class="data muted">{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Shares({ title, counts }: { title: string; counts: Record<string, number> }) {
  const entries = Object.entries(counts);
  const total = entries.reduce((sum, [, count]) => sum + count, 0);
  return (
    <table class="shares">
      <caption>{title}</caption>
      <tbody>
        {entries.map(([name, count]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td class="shares-bar" aria-hidden="true">
              <i style={{ width: `${(count / total) * 100}%` }} />
            </td>
            <td class="data">{formatCount(count)}</td>
          </tr>
        ))}
        {entries.length === 0 && (
          <tr>
            <td class="muted">Nothing yet.</td>
          </tr>
        )}
      </tbody>
    </table>
  );
}
