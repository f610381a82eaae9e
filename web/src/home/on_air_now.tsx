/** The running lives beside a feed. */
import { api, type Page } from "../kit/api";
import { Avatar, nameOf } from "../kit/avatar";
import { useLoad } from "../kit/load";
import { Skeleton } from "../kit/states";
import type { Live } from "../live/shapes";
import { StatusTally, ViewerCount } from "../live/tally";

const SHOWN = 6;

export function OnAirNow() {
  const lives = useLoad<Page<Live>>("live", (signal) =>
    api.get<Page<Live>>("/live", { query: { limit: SHOWN }, signal }),
  );
  return (
    <aside class={lives.data?.items.length ? "on-air-now stack lit" : "on-air-now stack"} aria-labelledby="on-air-now">
      <h2 id="on-air-now">On air now</h2>
      {lives.error !== null && <p class="muted">This list did not load.</p>}
      {lives.loading && !lives.data && <Skeleton shape="line" count={2} />}
      {lives.data?.items.length === 0 && (
        <p class="muted">
          Nobody right now. <a href="/studio/live">Go live yourself.</a>
        </p>
      )}
      <ul>
        {lives.data?.items.map((live) => (
          <li key={live.id}>
            <a class="plain on-air-item" href={`/live/${live.id}`}>
              <Avatar user={live.owner} size={40} />
              <span class="grow">
                <strong class="clip">{live.title}</strong>
                <span class="data muted clip">{nameOf(live.owner)}</span>
              </span>
              <span class="on-air-lamp">
                <StatusTally status={live.status} />
                {live.viewers ? <ViewerCount viewers={live.viewers} /> : null}
              </span>
            </a>
          </li>
        ))}
      </ul>
    </aside>
  );
}
