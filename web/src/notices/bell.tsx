/** The bell: how much somebody has not seen, and the list of what they were told. */
import { useEffect, useRef } from "preact/hooks";
import { Avatar, nameOf } from "../kit/avatar";
import { describeError } from "../kit/errors";
import { Icon } from "../kit/icons";
import { usePopover } from "../kit/popover";
import { Ago } from "../kit/prose";
import { Skeleton } from "../kit/states";
import { formatNoun } from "../kit/words";
import { describeNotice, findPlace, isWhole, sayNotice, UNSEEN_MAX, writeCount, type Notice } from "./shapes";
import { useTold, type TellState } from "./told";
import "./bell.css";

export function Bell({ userId }: { userId: string }) {
  const state = useTold(userId);
  const { root, isOpen, toggle, close, onKeyDown } = usePopover();
  const fresh = useFresh(state, isOpen);
  const unseen = state.told?.unseen ?? 0;
  useEffect(() => {
    if (isOpen) state.markSeen();
  }, [isOpen, state.told?.items[0]?.id]);
  return (
    <div ref={root} class="bell" onKeyDown={onKeyDown}>
      <button
        type="button"
        class="icon-button bell-button"
        aria-expanded={isOpen}
        aria-controls="notices"
        aria-label={unseen > 0 ? `Notices, ${unseen > UNSEEN_MAX ? "more than 99" : unseen} new` : "Notices"}
        data-testid="bell"
        onClick={toggle}
      >
        <Icon name="bell" />
        {unseen > 0 && (
          <span class="bell-count" aria-hidden="true" data-testid="bell-count">
            {writeCount(unseen)}
          </span>
        )}
      </button>
      <p class="visually-hidden" role="status">
        {state.latest && sayNotice(state.latest)}
      </p>
      {isOpen && <Notices state={state} fresh={fresh} onLeave={close} />}
    </div>
  );
}

/** The notices that are new while the list is open, so that they stay marked while it is read. */
function useFresh({ told }: TellState, isOpen: boolean): ReadonlySet<string> {
  const fresh = useRef(new Set<string>());
  if (!isOpen) fresh.current.clear();
  else for (const notice of told?.items.slice(0, told.unseen) ?? []) fresh.current.add(notice.id);
  return fresh.current;
}

interface NoticesProps {
  state: TellState;
  fresh: ReadonlySet<string>;
  onLeave: () => void;
}

function Notices({ state, fresh, onLeave }: NoticesProps) {
  const { told, error, isLoading } = state;
  const panel = useRef<HTMLElement>(null);
  useEffect(() => panel.current?.focus(), []);
  return (
    <section id="notices" ref={panel} class="notices" aria-labelledby="notices-title" tabIndex={-1}>
      <h2 id="notices-title">Notices</h2>
      {told === null && isLoading && <Skeleton shape="line" count={3} />}
      {error !== null && (
        <p role="alert">
          {describeError(error)}{" "}
          <button type="button" class="button small" onClick={state.reload}>
            <Icon name="retry" size={18} /> Try again
          </button>
        </p>
      )}
      {told?.items.length === 0 && (
        <p class="muted" data-testid="notices-empty">
          Nothing yet. Who follows you, likes what you post or writes below it appears here, and whom you follow when
          they go live.
        </p>
      )}
      {told !== null && told.items.length > 0 && (
        <ul>
          {told.items.map((notice) => (
            <NoticeLine key={notice.id} notice={notice} isNew={fresh.has(notice.id)} onLeave={onLeave} />
          ))}
        </ul>
      )}
      {told?.next_cursor && (
        <button type="button" class="button small" disabled={isLoading} onClick={state.more}>
          Show older
        </button>
      )}
      {told !== null && told.items.length > 0 && (
        <p class="visually-hidden" role="status">
          {formatNoun(told.items.length, "notice")} shown
        </p>
      )}
    </section>
  );
}

function NoticeLine({ notice, isNew, onLeave }: { notice: Notice; isNew: boolean; onLeave: () => void }) {
  return (
    <li data-testid="notice" data-kind={notice.kind}>
      <a class="plain notice-line" href={findPlace(notice)} onClick={onLeave}>
        {isWhole(notice) ? <Icon name="shield" size={34} /> : <Avatar user={notice.user} size={34} />}
        <span>
          {isNew && <span class="visually-hidden">New: </span>}
          {!isWhole(notice) && <strong>{nameOf(notice.user)}</strong>} {describeNotice(notice)}
          {(notice.text || notice.title) && <q class={isWhole(notice) ? "" : "clip"}>{notice.text || notice.title}</q>}
          <Ago at={notice.created_at} />
        </span>
        {isNew && <i class="notice-new" aria-hidden="true" />}
      </a>
    </li>
  );
}
