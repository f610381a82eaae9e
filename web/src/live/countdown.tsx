/** The time until a scheduled live begins, ticking; says the moment itself too. */
import { useNow } from "../kit/now";
import { formatMoment, splitCountdown } from "./schedule";
import "./countdown.css";

export function Countdown({ at }: { at: string }) {
  const nowMs = useNow(Date.parse(at));
  const parts = splitCountdown(at, nowMs);
  return (
    <div class="countdown" data-testid="countdown">
      {parts ? (
        <>
          <p class="countdown-word">Starts in</p>
          <p class="countdown-parts" role="timer" aria-live="off">
            {parts.map(({ value, unit }) => (
              <span key={unit}>
                <b>{value}</b> <small>{unit}</small>
              </span>
            ))}
          </p>
        </>
      ) : (
        <p class="countdown-word" role="status">
          Any moment now. Stay, it begins here by itself.
        </p>
      )}
      <p>
        <time dateTime={at}>{formatMoment(at)}</time>
      </p>
    </div>
  );
}
