/** The part of a form that says whether a video's segments are encrypted. */
import { Field } from "../kit/field";

/** Null leaves it to the site. */
export type IsProtected = boolean | null;

const CHOICES: readonly { value: IsProtected; label: string; hint: string }[] = [
  { value: null, label: "As this site does", hint: "Whoever runs this site has chosen for all videos." },
  { value: true, label: "Encrypted", hint: "Only whoever may watch gets its keys. It cannot be downloaded." },
  { value: false, label: "Not encrypted", hint: "It plays in every player." },
];

interface ProtectionProps {
  value: IsProtected;
  onChange: (next: IsProtected) => void;
}

export function ProtectionField({ value, onChange }: ProtectionProps) {
  const chosen = CHOICES.findIndex((known) => known.value === value);
  return (
    <Field label="Protection" hint={CHOICES[chosen]?.hint}>
      {(props) => (
        <select
          {...props}
          class="input"
          data-testid="protection"
          value={String(value)}
          onChange={(event) => onChange(CHOICES[event.currentTarget.selectedIndex]?.value ?? null)}
        >
          {CHOICES.map((known) => (
            <option key={known.label} value={String(known.value)}>
              {known.label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
