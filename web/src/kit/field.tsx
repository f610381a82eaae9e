/** A labelled form control with its hint and its problem, tied together for screen readers. */
import type { JSX } from "preact";
import { useId } from "preact/hooks";

export interface ControlProps {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": "true" | undefined;
}

interface FieldProps {
  label: string;
  hint?: string | undefined;
  problem?: string | null;
  children: (props: ControlProps) => JSX.Element;
}

export function Field({ label, hint, problem, children }: FieldProps) {
  const id = useId();
  const noteId = hint || problem ? `${id}-note` : undefined;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": noteId, "aria-invalid": problem ? "true" : undefined })}
      {(problem || hint) && (
        <p id={noteId} class={problem ? "problem" : "hint"} role={problem ? "alert" : undefined}>
          {problem || hint}
        </p>
      )}
    </div>
  );
}
