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

interface TextFieldProps extends Omit<FieldProps, "children"> {
  value: string;
  onChange: (value: string) => void;
  testId?: string;
  type?: "text" | "email" | "url";
  autocomplete?: "username" | "email" | "name" | "off";
  /** False for names that are not words. */
  isProse?: boolean;
  required?: boolean;
  maxLength?: number;
  placeholder?: string;
}

/** One line of text with its label. */
export function TextField(props: TextFieldProps) {
  const isProse = props.isProse ?? true;
  return (
    <Field label={props.label} hint={props.hint} problem={props.problem ?? null}>
      {(control) => (
        <input
          {...control}
          class="input"
          type={(props.type ?? "text") as "text"}
          autocomplete={props.autocomplete}
          autocapitalize={isProse ? undefined : "none"}
          spellcheck={isProse}
          required={props.required}
          maxLength={props.maxLength}
          placeholder={props.placeholder}
          value={props.value}
          data-testid={props.testId}
          onInput={(event) => props.onChange(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}
