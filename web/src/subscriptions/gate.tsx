/** What stands where something for subscribers would be: whose it is, and what can be done. Opens by itself for a gift. */
import { Avatar, nameOf } from "../kit/avatar";
import { Icon } from "../kit/icons";
import { useChannel } from "../kit/realtime";
import { location } from "../kit/router";
import { currentUser } from "../kit/session";
import { useStore } from "../kit/store";
import { readNotice } from "../notices/shapes";
import type { Author } from "../videos/shapes";

interface GateProps {
  owner: Author;
  /** "This video", "This broadcast". */
  what: string;
  /** In a frame of another site: the page of ours that ways out lead to, beside that site. */
  beside?: string;
  onRetry: () => void;
}

export function Gate({ owner, what, beside, onRetry }: GateProps) {
  const me = useStore(currentUser);
  const out = beside === undefined ? {} : { target: "_blank", rel: "noopener" };
  useChannel(me ? `user:${me.id}` : null, {
    onEvent: (event) => {
      const notice = readNotice(event);
      if (notice?.kind === "subscription" && notice.user.id === owner.id) onRetry();
    },
  });
  return (
    <section class="notice" role="alert" data-testid="for-subscribers">
      <Avatar user={owner} size={84} />
      <h1>For subscribers of {nameOf(owner)}</h1>
      <p class="muted">
        {what} is only for people who subscribe to {nameOf(owner)}.{" "}
        {me ? "You do not, or your subscription has ended." : "If you subscribe, log in to see it."}
      </p>
      <div class="row">
        {!me && (
          <a class="button primary" href={`/login?next=${encodeURIComponent(beside ?? location.get().path)}`} {...out}>
            Log in
          </a>
        )}
        <a class="button" href={`/u/${owner.username}`} {...out}>
          See the channel
        </a>
        {me && (
          <button type="button" class="button" onClick={onRetry}>
            <Icon name="retry" size={18} /> Try again
          </button>
        )}
      </div>
    </section>
  );
}
