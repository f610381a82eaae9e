/** A password that can be looked at while typing. */
import { useState } from "preact/hooks";
import type { ControlProps } from "../kit/field";
import "./password_input.css";

interface PasswordInputProps {
  control: ControlProps;
  value: string;
  autocomplete: "current-password" | "new-password";
  testId: string;
  onChange: (value: string) => void;
}

export function PasswordInput({ control, value, autocomplete, testId, onChange }: PasswordInputProps) {
  const [isShown, setShown] = useState(false);
  return (
    <div class="password">
      <input
        {...control}
        class="input"
        type={(isShown ? "text" : "password") as "password"}
        autocomplete={autocomplete}
        required
        maxLength={256}
        value={value}
        data-testid={testId}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      <button
        type="button"
        aria-label={isShown ? "Hide the password" : "Show the password"}
        onClick={() => setShown(!isShown)}
      >
        {isShown ? "Hide" : "Show"}
      </button>
    </div>
  );
}
