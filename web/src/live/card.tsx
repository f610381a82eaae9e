/** A running live in a list: its title stands in a lit frame, because there is no still of it yet. */
import { Avatar, nameOf } from "../kit/avatar";
import { Bars } from "../kit/states";
import { formatAgo } from "../kit/words";
import type { Live } from "./shapes";
import { StatusTally, ViewerCount } from "./tally";
import "./card.css";

/** `level` follows the page: 2 directly below its title, 3 below a section. */
export function LiveCard({ live, level = 3 }: { live: Live; level?: 2 | 3 }) {
  const Heading = level === 2 ? "h2" : "h3";
  return (
    <article class="live-card" data-testid="live-card">
      <a class="live-card-frame plain" href={`/live/${live.id}`}>
        <span class="row spread">
          <StatusTally status={live.status} />
          {live.viewers ? <ViewerCount viewers={live.viewers} /> : null}
        </span>
        <Bars class="live-card-bars" />
        <Heading>{live.title}</Heading>
      </a>
      <a class="row tight plain" href={`/u/${live.owner.username}`}>
        <Avatar user={live.owner} size={32} />
        <span class="grow clip">{nameOf(live.owner)}</span>
        {live.started_at && <span class="data muted">{formatAgo(live.started_at, Date.now())}</span>}
      </a>
    </article>
  );
}
