/** Reactions of a room: six buttons with what came since we joined, and what comes rising over the chat. */
import { useState } from "preact/hooks";
import { useChannel, socket } from "../kit/realtime";
import { currentUser } from "../kit/session";
import { useStore } from "../kit/store";
import { formatCount } from "../kit/words";
import { ReactionMark } from "./reaction_mark";
import { applyBursts, applyCounts, REACTIONS, readCounts, type Burst, type Totals } from "./reaction_tally";
import "./reactions.css";

interface BarProps {
  roomId: string;
  socketUrl: string | null;
}

export function ReactionsBar({ roomId, socketUrl }: BarProps) {
  const me = useStore(currentUser);
  const state = useStore(socket.state);
  const [totals, setTotals] = useState<Totals>({});
  const [bursts, setBursts] = useState<Burst[]>([]);
  useChannel(
    `room:${roomId}`,
    {
      onEvent: (event) => {
        if (event.type !== "reactions") return;
        const counts = readCounts(event.data);
        setTotals((known) => applyCounts(known, counts));
        if (allowsMotion()) setBursts((known) => applyBursts(known, counts, () => 8 + Math.random() * 76));
      },
    },
    socketUrl,
  );
  const canReact = me !== null && state === "open";
  const why = me === null ? "Log in to react" : undefined;
  return (
    <div class="reactions" role="group" aria-label="React" title={why}>
      <div class="reaction-bursts" aria-hidden="true">
        {bursts.map((burst) => (
          <span
            key={burst.id}
            class="reaction-burst"
            style={{ left: `${burst.place}%` }}
            onAnimationEnd={() => setBursts((known) => known.filter((other) => other.id !== burst.id))}
          >
            <ReactionMark mark={burst.mark} size={30} />
            {burst.count > 1 && <b class="data">×{formatCount(burst.count)}</b>}
          </span>
        ))}
      </div>
      {REACTIONS.map(({ mark, name }) => (
        <button
          key={mark}
          type="button"
          class="reaction"
          disabled={!canReact}
          aria-label={`React with ${name}, ${totals[mark] ?? 0} so far`}
          data-testid={`react-${name}`}
          onClick={() => socket.sendReaction(roomId, mark)}
        >
          <ReactionMark mark={mark} size={24} />
          {/* Another key per number: each change moves once. */}
          <span key={totals[mark] ?? 0} class="reaction-count data">
            {totals[mark] ? formatCount(totals[mark] ?? 0) : ""}
          </span>
        </button>
      ))}
    </div>
  );
}

function allowsMotion(): boolean {
  return !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}
