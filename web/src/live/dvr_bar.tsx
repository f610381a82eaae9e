/** The bar below a live picture: everything since its start, where one is, and the way back to live. */
import { formatDuration } from "../kit/words";
import { describeBehind, LIVE_WITHIN_S, stepBehind } from "./ways";

/** A second, the bar's own step, would never lead away from the live end. */
const KEYS_BY_S: Record<string, number> = { ArrowLeft: -5, ArrowDown: -5, ArrowRight: 5, ArrowUp: 5 };

interface DvrBarProps {
  lengthS: number;
  behindS: number;
  /** False where WebRTC is all there is. */
  canGoBack: boolean;
  onSeekBehind: (behindS: number) => void;
}

export function DvrBar({ lengthS, behindS, canGoBack, onSeekBehind }: DvrBarProps) {
  const atS = behindS < LIVE_WITHIN_S ? lengthS : Math.max(0, lengthS - behindS);
  const share = lengthS > 0 ? (atS / lengthS) * 100 : 100;
  return (
    <input
      type="range"
      class="scrubber"
      data-testid="dvr-bar"
      aria-label="Position"
      aria-valuetext={`${formatDuration(atS)} since the start, ${describeBehind(behindS)}`}
      min={0}
      max={lengthS || 1}
      step={1}
      value={atS}
      disabled={!canGoBack || lengthS < LIVE_WITHIN_S}
      title={canGoBack ? undefined : "This live cannot be wound back."}
      style={{ "--share": `${share}%`, "--buffered": "100%" }}
      onKeyDown={(event) => {
        const byS = KEYS_BY_S[event.key];
        if (byS === undefined) return;
        event.preventDefault();
        onSeekBehind(stepBehind(behindS, byS));
      }}
      onChange={(event) => {
        const atS = Number(event.currentTarget.value);
        if (atS === 0) return onSeekBehind(Number.POSITIVE_INFINITY); // the live has grown meanwhile
        onSeekBehind(lengthS - atS < LIVE_WITHIN_S ? 0 : lengthS - atS);
      }}
    />
  );
}
