/** The part of a form that says when a video is published: at once, or at a time in one's own zone. */
import { Field } from "../kit/field";
import { proposeStart, writeLocal } from "../live/schedule";

interface TimeProps {
  value: string;
  problem: string | null;
  onChange: (text: string) => void;
}

/** The browser's own date field, with the zone in which it counts. */
export function PublishTime({ value, problem, onChange }: TimeProps) {
  return (
    <Field
      label="It is published"
      hint={`Your time zone: ${Intl.DateTimeFormat().resolvedOptions().timeZone}. Until then only you see it.`}
      problem={problem}
    >
      {(control) => (
        <input
          {...control}
          class="input"
          type="datetime-local"
          value={value}
          min={writeLocal(Date.now())}
          data-testid="publish-time"
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

interface FieldProps {
  /** What stands in the date field; null: at once. */
  value: string | null;
  problem: string | null;
  onChange: (text: string | null) => void;
}

export function PublishField({ value, problem, onChange }: FieldProps) {
  return (
    <div class="stack">
      <label class="row tight">
        <input
          type="checkbox"
          checked={value !== null}
          data-testid="publish-later"
          onChange={() => onChange(value === null ? proposeStart(Date.now()) : null)}
        />
        <span>Publish later</span>
      </label>
      {value !== null && <PublishTime value={value} problem={problem} onChange={onChange} />}
    </div>
  );
}
