/**
 * What a page shows when it has nothing else: loading, empty, failed, end of a list. The test card
 * (colour bars) is the product's own picture for "no picture".
 */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { describeError } from "./errors";
import { Icon } from "./icons";
import type { Pages } from "./load";
import "./states.css";

/** Seven bars whose heights make a wave. Decorative. */
export function Bars({ class: name = "" }: { class?: string }) {
  return (
    <span class={`bars ${name}`} aria-hidden="true">
      <i />
      <i />
      <i />
      <i />
      <i />
      <i />
      <i />
    </span>
  );
}

interface NoticeProps {
  title: string;
  children?: ComponentChildren;
  level?: 1 | 2;
}

/** An empty state: says what would be here and what to do about it. */
export function Empty({ title, children, level = 2 }: NoticeProps) {
  const Heading = level === 1 ? "h1" : "h2";
  return (
    <section class="notice">
      <Bars class="notice-bars" />
      <Heading>{title}</Heading>
      {children}
    </section>
  );
}

interface FailureProps {
  error: unknown;
  title?: string;
  level?: 1 | 2;
  onRetry?: () => void;
}

export function Failure({ error, title = "This did not load", level = 2, onRetry }: FailureProps) {
  const Heading = level === 1 ? "h1" : "h2";
  return (
    <section class="notice" role="alert" data-testid="error-state">
      <Bars class="notice-bars lost" />
      <Heading>{title}</Heading>
      <p class="muted">{describeError(error)}</p>
      {onRetry ? (
        <button type="button" class="button" onClick={onRetry}>
          <Icon name="retry" size={18} /> Try again
        </button>
      ) : (
        <a class="button" href="/explore">
          Explore what is here
        </a>
      )}
    </section>
  );
}

/** Grey shapes while something loads; `shape` says of what. */
export function Skeleton({ shape, count = 1 }: { shape: "post" | "video" | "line" | "row"; count?: number }) {
  return (
    <>
      {Array.from({ length: count }, (_, index) => (
        <div key={index} class={`skeleton ${shape}`} aria-hidden="true">
          <i class="skeleton-frame" />
          <i class="skeleton-line" />
          <i class="skeleton-line short" />
        </div>
      ))}
      <span class="visually-hidden" role="status">
        Loading
      </span>
    </>
  );
}

/** The end of a list: loads the next page when it comes into view, with a button for everyone else. */
export function ListEnd<T>({ pages }: { pages: Pages<T> }) {
  const mark = useRef<HTMLDivElement>(null);
  const latest = useRef(pages);
  latest.current = pages;
  useEffect(() => {
    const element = mark.current;
    if (!element) return undefined;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting) && latest.current.error === null) latest.current.more();
      },
      { rootMargin: "600px" },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [pages.hasMore, pages.items.length]);
  if (!pages.hasMore) return null;
  return (
    <div ref={mark} class="list-end">
      <button type="button" class="button" disabled={pages.loading} onClick={pages.more}>
        {pages.loading ? "Loading…" : pages.error !== null ? "Try again" : "Show more"}
      </button>
    </div>
  );
}
