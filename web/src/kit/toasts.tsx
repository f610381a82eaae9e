/** Short messages at the edge of the page, read out politely. `showToast` and `showError` are called from anywhere. */
import { describeError } from "./errors";
import { Icon } from "./icons";
import { Store, useStore } from "./store";
import "./toasts.css";

interface Toast {
  id: number;
  text: string;
  isError: boolean;
}

const SHOWN_MS = 6_000;
const TOASTS_MAX = 3;

const toasts = new Store<Toast[]>([]);
let lastId = 0;

function add(text: string, isError: boolean): void {
  const id = ++lastId;
  toasts.set([...toasts.get().filter((toast) => toast.text !== text), { id, text, isError }].slice(-TOASTS_MAX));
  setTimeout(() => dismiss(id), isError ? SHOWN_MS * 1.5 : SHOWN_MS);
}

function dismiss(id: number): void {
  toasts.set(toasts.get().filter((toast) => toast.id !== id));
}

export function showToast(text: string): void {
  add(text, false);
}

export function showError(error: unknown): void {
  add(describeError(error), true);
}

export function Toasts() {
  const list = useStore(toasts);
  return (
    <div class="toasts" role="status" aria-live="polite" data-testid="toasts">
      {list.map((toast) => (
        <div key={toast.id} class={toast.isError ? "toast error" : "toast"}>
          <span>{toast.text}</span>
          <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
            <Icon name="close" size={16} />
          </button>
        </div>
      ))}
    </div>
  );
}
