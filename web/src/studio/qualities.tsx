/** Whether a broadcast goes out in several sizes. Costs a third more of the machine; remembered. */
import { Store, useStore } from "../kit/store";

const KEY = "studio-several";
/** Encoding three pictures at once needs a machine with some room. */
const CORES_MIN = 4;

export const sendsSeveral = new Store<boolean>(readChoice());

function readChoice(): boolean {
  const stored = typeof localStorage === "undefined" ? null : localStorage.getItem(KEY);
  if (stored !== null) return stored === "yes";
  return typeof navigator !== "undefined" && (navigator.hardwareConcurrency ?? 0) >= CORES_MIN;
}

export function SeveralField() {
  const isOn = useStore(sendsSeveral);
  const choose = (next: boolean) => {
    localStorage.setItem(KEY, next ? "yes" : "no");
    sendsSeveral.set(next);
  };
  return (
    <label class="row tight several" title="Counts from the next time you go live">
      <input
        type="checkbox"
        data-testid="send-several"
        checked={isOn}
        onChange={(event) => choose(event.currentTarget.checked)}
      />
      <span>Smaller pictures too, for slow connections</span>
    </label>
  );
}
