/** The browser's own date field, with the zone in which it counts. */
import { Field } from "../kit/field";
import { writeLocal } from "../live/schedule";

interface Props {
  label: string;
  /** What else there is to know, behind the zone. */
  note: string;
  testId: string;
  value: string;
  problem: string | null;
  onChange: (text: string) => void;
}

export function TimeInput({ label, note, testId, value, problem, onChange }: Props) {
  return (
    <Field
      label={label}
      hint={`Your time zone: ${Intl.DateTimeFormat().resolvedOptions().timeZone}. ${note}`}
      problem={problem}
    >
      {(control) => (
        <input
          {...control}
          class="input"
          type="datetime-local"
          value={value}
          min={writeLocal(Date.now())}
          data-testid={testId}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}
