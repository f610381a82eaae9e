/** Everything on air now. */
import { Icon } from "../kit/icons";
import { usePages } from "../kit/load";
import { useTitle } from "../kit/router";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { LiveCard } from "./card";
import { Upcoming } from "./upcoming";
import type { Live } from "./shapes";

export default function LiveListPage() {
  useTitle("Live");
  const pages = usePages<Live>("/live");
  return (
    <div class="page">
      <header class="page-head">
        <h1>On air now</h1>
        <a class="button live" href="/studio/live">
          <Icon name="camera" size={20} /> Go live
        </a>
      </header>
      <LiveList pages={pages} />
      <Upcoming title="Coming up" />
    </div>
  );
}

function LiveList({ pages }: { pages: ReturnType<typeof usePages<Live>> }) {
  if (pages.items.length === 0) {
    if (pages.error !== null) return <Failure error={pages.error} onRetry={pages.reload} />;
    if (pages.loading) {
      return (
        <div class="live-grid">
          <Skeleton shape="video" count={3} />
        </div>
      );
    }
    return (
      <Empty title="Nobody is on air">
        <p class="muted">Be the first: your browser and a camera are enough.</p>
        <a class="button primary" href="/studio/live">
          Go live
        </a>
      </Empty>
    );
  }
  return (
    <>
      <div class="live-grid">
        {pages.items.map((live) => (
          <LiveCard key={live.id} live={live} level={2} />
        ))}
      </div>
      <ListEnd pages={pages} />
    </>
  );
}
