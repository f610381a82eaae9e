/** The part of a form that says when a video is published: at once, or at a time in one's own zone. */
import { proposeStart } from "../live/schedule";
import { TimeInput } from "./time_input";

interface TimeProps {
  value: string;
  problem: string | null;
  onChange: (text: string) => void;
}

export function PublishTime({ value, problem, onChange }: TimeProps) {
  return (
    <TimeInput
      label="It is published"
      note="Until then only you see it."
      testId="publish-time"
      value={value}
      problem={problem}
      onChange={onChange}
    />
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
