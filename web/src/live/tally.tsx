/** The lamp that says on air, and the number of people watching. */
import { Icon } from "../kit/icons";
import { formatCount, formatNoun } from "../kit/words";
import type { LiveStatus } from "./shapes";

const WORDS: Record<LiveStatus, string> = {
  created: "Standby",
  scheduled: "Scheduled",
  live: "Live",
  interrupted: "Interrupted",
  ended: "Ended",
};

/** `announce` reads changes out; only the one lamp of a room's own page does that. */
export function StatusTally({ status, announce = false }: { status: LiveStatus; announce?: boolean }) {
  return (
    <span
      class={status === "live" ? "tally" : "tally off"}
      role={announce ? "status" : undefined}
      data-testid="live-status"
      data-status={status}
    >
      {WORDS[status]}
    </span>
  );
}

export function ViewerCount({ viewers }: { viewers: number }) {
  return (
    <span class="chip" title={formatNoun(viewers, "viewer")}>
      <Icon name="eye" size={16} />
      <span data-testid="viewer-count">{formatCount(viewers)}</span>
      <span class="visually-hidden"> watching</span>
    </span>
  );
}
