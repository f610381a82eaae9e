/** A raid takes the viewers along: a card that counts down, goes by itself, and can be refused. */
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { Icon } from "../kit/icons";
import { useNow } from "../kit/now";
import { navigate } from "../kit/router";
import type { Raid } from "./room_rules";
import "./raid_prompt.css";

const PATIENCE_MS = 12_000;

export function RaidPrompt({ raid, onAnswer }: { raid: Raid; onAnswer: () => void }) {
  const goesAt = useRef(Date.now() + PATIENCE_MS);
  const nowMs = useNow(goesAt.current, 250);
  const leftS = Math.max(0, Math.ceil((goesAt.current - nowMs) / 1_000));
  const { target } = raid;
  const go = () => {
    onAnswer();
    navigate(`/live/${target.id}`);
  };
  useEffect(() => {
    if (leftS === 0) go();
  }, [leftS === 0]);
  // With what is shown, not a moment later: a key that is pressed at once must not be lost.
  useLayoutEffect(() => {
    const stay = (event: KeyboardEvent) => event.key === "Escape" && onAnswer();
    document.addEventListener("keydown", stay);
    return () => document.removeEventListener("keydown", stay);
  }, []);
  return (
    <section class="raid-prompt" aria-labelledby="raid-title" data-testid="raid-prompt">
      <Icon name="horn" size={26} />
      <div class="grow" role="alert">
        <h2 id="raid-title">On to {target.owner_name}</h2>
        <p class="clip">{target.title}</p>
        <p class="visually-hidden">
          You are taken along in {PATIENCE_MS / 1_000} seconds. Press Escape to stay here.
        </p>
      </div>
      <div class="row tight">
        <button type="button" class="button small" data-testid="raid-stay" onClick={onAnswer}>
          Stay here
        </button>
        <button type="button" class="button small primary" data-testid="raid-go" onClick={go}>
          Go now <span class="data">({leftS})</span>
        </button>
      </div>
      <i class="raid-left" style={{ "--patience": `${PATIENCE_MS}ms` }} aria-hidden="true" />
    </section>
  );
}
