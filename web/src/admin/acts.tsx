/** Who did what with a right that others lack, the newest first. */
import { usePages } from "../kit/load";
import { Ago } from "../kit/prose";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { describeAct, type Act } from "./shapes";

export function Acts() {
  const pages = usePages<Act>("/admin/audit");
  return (
    <section class="stack" aria-label="Record of acts">
      <ol class="admin-rows">
        {pages.items.map((act) => (
          <li key={act.id} data-testid="act">
            <p class="grow">
              <strong>{act.actor === null ? "Command line" : `@${act.actor}`}</strong> {describeAct(act)}
            </p>
            <p class="data muted">
              <Ago at={act.at} />
            </p>
          </li>
        ))}
      </ol>
      {pages.error !== null && <Failure error={pages.error} onRetry={pages.reload} />}
      {pages.loading && pages.items.length === 0 && <Skeleton shape="line" count={3} />}
      {!pages.loading && pages.error === null && pages.items.length === 0 && (
        <Empty title="Nothing on record yet">
          <p class="muted">Bans, changed roles and lives that were taken down are listed here.</p>
        </Empty>
      )}
      <ListEnd pages={pages} />
    </section>
  );
}
