/**
 * Addresses to pages. `matchRoute` is pure; `navigate` changes the address; `followLinks` turns
 * clicks on inner links into navigation, so that pages write plain `<a href>`.
 */
import { useEffect } from "preact/hooks";
import { Store } from "./store";

export type Parameters = Record<string, string>;

export interface Location {
  path: string;
  search: string;
}

/** The values of `{name}` parts when the path fits the pattern, else null. */
export function matchRoute(pattern: string, path: string): Parameters | null {
  const wanted = splitPath(pattern);
  const given = splitPath(path);
  if (wanted.length !== given.length) return null;
  const parameters: Parameters = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    if (part.startsWith("{")) {
      try {
        parameters[part.slice(1, -1)] = decodeURIComponent(value);
      } catch {
        return null;
      }
    } else if (part !== value) return null;
  }
  return parameters;
}

function splitPath(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}

function readLocation(): Location {
  if (typeof window === "undefined") return { path: "/", search: "" };
  return { path: window.location.pathname, search: window.location.search };
}

/** Where one was before the present page; null on the first one. */
let cameFrom: string | null = null;

export function previousPath(): string | null {
  return cameFrom;
}

export const location = new Store<Location>(readLocation());

/** Goes to an inner address; the page begins at its top, `replace` leaves no step back. */
export function navigate(href: string, replace = false): void {
  const url = new URL(href, window.location.href);
  if (url.href !== window.location.href) {
    cameFrom = window.location.pathname;
    window.history[replace ? "replaceState" : "pushState"](null, "", url.href);
  }
  location.set(readLocation());
  window.scrollTo(0, 0);
}

function isInnerClick(event: MouseEvent, link: HTMLAnchorElement): boolean {
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  const inner = link.origin === window.location.origin && !link.hasAttribute("download") && !link.target;
  return plain && inner && !link.dataset["outer"] && !(link.hash && link.pathname === window.location.pathname);
}

/** Called once at start. */
export function followLinks(): void {
  window.addEventListener("popstate", () => location.set(readLocation()));
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || !(event.target instanceof Element)) return;
    const link = event.target.closest("a");
    if (!link?.href || !isInnerClick(event, link)) return;
    event.preventDefault();
    navigate(link.href);
  });
}

/** Names the tab for as long as the page is shown. */
export function useTitle(title: string | null): void {
  useEffect(() => {
    document.title = title ? `${title} · Social Flow` : "Social Flow";
  }, [title]);
}
