/** Light, dark, or as the system says. Stored per browser; `public/theme.js` applies it before the first paint. */
import { Store } from "./store";

export type Theme = "system" | "light" | "dark";

const KEY = "sf.theme";

function readTheme(): Theme {
  const stored = typeof localStorage === "undefined" ? null : localStorage.getItem(KEY);
  return stored === "light" || stored === "dark" ? stored : "system";
}

export const theme = new Store<Theme>(readTheme());

/** Applies the theme to the whole page at once. */
export function setTheme(next: Theme): void {
  if (next === "system") {
    localStorage.removeItem(KEY);
    delete document.documentElement.dataset["theme"];
  } else {
    localStorage.setItem(KEY, next);
    document.documentElement.dataset["theme"] = next;
  }
  theme.set(next);
}

/** What is on screen now, the system's preference included. */
export function isDarkNow(): boolean {
  const chosen = theme.get();
  if (chosen !== "system") return chosen === "dark";
  return !window.matchMedia("(prefers-color-scheme: light)").matches;
}
