/** A running live in a list: its title stands in a lit frame, because there is no still of it yet. */
import { Avatar, nameOf } from "../kit/avatar";
import { formatAgo } from "../kit/words";
import type { Live } from "./shapes";
import { StatusTally, ViewerCount } from "./tally";
import "./card.css";

export function LiveCard({ live }: { live: Live }) {
  return (
    <article class="live-card" data-testid="live-card">
      <a class="live-card-frame plain" href={`/live/${live.id}`}>
        <span class="row spread">
          <StatusTally status={live.status} />
          {live.viewers !== undefined && <ViewerCount viewers={live.viewers} />}
        </span>
        <h3>{live.title}</h3>
      </a>
      <a class="row tight plain" href={`/u/${live.owner.username}`}>
        <Avatar user={live.owner} size={32} />
        <span class="grow clip">{nameOf(live.owner)}</span>
        {live.started_at && <span class="data muted">{formatAgo(live.started_at, Date.now())}</span>}
      </a>
    </article>
  );
}
