/** The part of a form that says when a subscription ends. */
import { Field } from "../kit/field";
import { proposeStart } from "../live/schedule";
import { TimeInput } from "../studio/time_input";
import { SPANS, type EndDraft, type Span } from "./shapes";

interface FieldProps {
  value: EndDraft;
  problem: string | null;
  onChange: (value: EndDraft) => void;
}

export function EndField({ value, problem, onChange }: FieldProps) {
  const choose = (span: Span) => {
    const text = span === "time" && value.text === "" ? proposeStart(Date.now()) : value.text;
    onChange({ span, text });
  };
  return (
    <>
      <Field label="How long">
        {(control) => (
          <select
            {...control}
            class="input"
            value={value.span}
            data-testid="gift-span"
            onChange={(event) => choose(event.currentTarget.value as Span)}
          >
            {SPANS.map((span) => (
              <option key={span.value} value={span.value}>
                {span.label}
              </option>
            ))}
          </select>
        )}
      </Field>
      {value.span === "time" && (
        <TimeInput
          label="It ends"
          note="Whatever they have open for subscribers closes then."
          testId="gift-time"
          value={value.text}
          problem={problem}
          onChange={(text) => onChange({ ...value, text })}
        />
      )}
    </>
  );
}
