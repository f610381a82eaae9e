/** Lives to come as a programme: the day and hour, what it is, whose it is. Everybody's, or one person's. */
import { Avatar, nameOf } from "../kit/avatar";
import { usePages } from "../kit/load";
import { useNow } from "../kit/now";
import { Failure, ListEnd, Skeleton } from "../kit/states";
import { formatClock } from "../kit/words";
import { describeStart, formatDay } from "./schedule";
import { nameAudience } from "../videos/shapes";
import type { Live } from "./shapes";
import "./upcoming.css";

const TICK_MS = 30_000;

interface UpcomingProps {
  title: string;
  /** Of this person alone. */
  owner?: string;
  /** What to say when there is none; without it the whole section stays away. */
  empty?: string;
  /** Where an entry leads: the live's own page, or the control room. */
  address?: (live: Live) => string;
}

export function Upcoming({ title, owner, empty, address = (live) => `/live/${live.id}` }: UpcomingProps) {
  const pages = usePages<Live>("/live", { state: "scheduled", ...(owner ? { owner } : {}) });
  const nowMs = useNow(pages.items.length > 0 ? Infinity : 0, TICK_MS);
  if (pages.items.length === 0 && empty === undefined) return null;
  return (
    <section class="stack" aria-label={title} data-testid="upcoming">
      <div class="row spread">
        <h2>{title}</h2>
        {owner && pages.items.some((live) => live.visibility === "public") && (
          <a class="data" href={`/v1/users/${owner}/lives.ics`} data-testid="subscribe-calendar">
            Subscribe by calendar
          </a>
        )}
      </div>
      {pages.error !== null && pages.items.length === 0 && <Failure error={pages.error} onRetry={pages.reload} />}
      {pages.loading && pages.items.length === 0 && <Skeleton shape="line" count={2} />}
      {!pages.loading && pages.error === null && pages.items.length === 0 && <p class="muted">{empty}</p>}
      <ol class="programme">
        {pages.items.map((live) => (
          <li key={live.id} data-testid="upcoming-live">
            <time class="programme-time" dateTime={live.scheduled_at ?? ""}>
              <span class="data muted">{formatDay(live.scheduled_at ?? "")}</span>
              <b>{formatClock(live.scheduled_at ?? "")}</b>
            </time>
            <div class="grow">
              <a class="plain programme-title" href={address(live)}>
                {live.title}
              </a>
              <p class="row tight data muted">
                <Avatar user={live.owner} size={22} />
                <span class="clip">{nameOf(live.owner)}</span>
                {live.visibility !== "public" && <span class="chip">{nameAudience(live.visibility)}</span>}
              </p>
            </div>
            <span class="data muted programme-left">{describeStart(live.scheduled_at ?? "", nowMs)}</span>
          </li>
        ))}
      </ol>
      <ListEnd pages={pages} />
    </section>
  );
}
