/** The frame that login and registration share. */
import type { ComponentChildren } from "preact";
import { TestCard } from "../kit/test_card";
import "./entry_form.css";

interface EntryFormProps {
  title: string;
  problem: string | null;
  isBusy: boolean;
  action: string;
  testId: string;
  onSubmit: () => void;
  children: ComponentChildren;
  other: ComponentChildren;
}

export function EntryForm(props: EntryFormProps) {
  return (
    <div class="page entry">
      <div class="entry-card">
        <form
          class="stack"
          onSubmit={(event) => {
            event.preventDefault();
            props.onSubmit();
          }}
        >
          <h1>{props.title}</h1>
          {props.children}
          {props.problem && (
            <p class="entry-problem" role="alert" data-testid="form-error">
              {props.problem}
            </p>
          )}
          <button type="submit" class="button primary wide" disabled={props.isBusy} data-testid={props.testId}>
            {props.isBusy ? "One moment…" : props.action}
          </button>
          <p class="muted">{props.other}</p>
        </form>
        <div class="entry-picture">
          <TestCard label="Standby" />
        </div>
      </div>
    </div>
  );
}

/** Where to go after logging in: only ever inside this product. */
export function decideNext(search: URLSearchParams): string {
  const next = search.get("next") ?? "/";
  return next.startsWith("/") && !next.startsWith("//") && !next.startsWith("/\\") ? next : "/";
}
