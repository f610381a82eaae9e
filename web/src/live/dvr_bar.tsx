/** The bar below a live picture: everything since its start, where one is, and the way back to live. */
import { formatDuration } from "../kit/words";
import { describeBehind, LIVE_WITHIN_S } from "./ways";

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
      onChange={(event) => {
        const atS = Number(event.currentTarget.value);
        if (atS === 0) return onSeekBehind(Number.POSITIVE_INFINITY); // the live has grown meanwhile
        onSeekBehind(lengthS - atS < LIVE_WITHIN_S ? 0 : lengthS - atS);
      }}
    />
  );
}
