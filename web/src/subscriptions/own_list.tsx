/** To whom one subscribes, and until when. */
import { Avatar, nameOf } from "../kit/avatar";
import { usePages } from "../kit/load";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { describeSubscription, type Subscription } from "./shapes";
import "./list.css";

export function OwnSubscriptions() {
  const pages = usePages<Subscription>("/subscriptions");
  if (pages.items.length === 0) {
    if (pages.error !== null) return <Failure error={pages.error} onRetry={pages.reload} />;
    if (pages.loading) return <Skeleton shape="line" count={3} />;
    return (
      <Empty title="No subscriptions">
        <p class="muted">Channels that you subscribe to appear here, with when it ends.</p>
      </Empty>
    );
  }
  return (
    <>
      <ul class="subscription-rows" aria-label="Your subscriptions">
        {pages.items.map((row) => (
          <li key={row.id} data-testid="subscription">
            <Avatar user={row.user} size={44} />
            <div class="grow">
              <a class="plain" href={`/u/${row.user.username}`}>
                <strong>{nameOf(row.user)}</strong> <span class="data muted">@{row.user.username}</span>
              </a>
              <p class="data muted">{describeSubscription(row)}</p>
            </div>
          </li>
        ))}
      </ul>
      <ListEnd pages={pages} />
    </>
  );
}
