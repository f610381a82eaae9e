/** Changing the password; everything else that is logged in has to log in again. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { describeError } from "../kit/errors";
import { Field } from "../kit/field";
import { showToast } from "../kit/toasts";
import { PasswordInput } from "./password_input";

const CHARS_MIN = 10;

export function PasswordForm({ onChanged }: { onChanged: () => void }) {
  const [current, setCurrent] = useState("");
  const [fresh, setFresh] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const change = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await api.post("/me/password", { current_password: current, new_password: fresh });
      setCurrent("");
      setFresh("");
      showToast("Password changed. Your other devices are logged out.");
      onChanged();
    } catch (error) {
      setProblem(describeError(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <section aria-labelledby="password-title">
      <h2 id="password-title">Password</h2>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void change();
        }}
      >
        <Field label="Present password">
          {(control) => (
            <PasswordInput
              control={control}
              autocomplete="current-password"
              value={current}
              testId="password-current"
              onChange={setCurrent}
            />
          )}
        </Field>
        <Field label="New password" hint={`At least ${CHARS_MIN} characters.`} problem={problem}>
          {(control) => (
            <PasswordInput
              control={control}
              autocomplete="new-password"
              value={fresh}
              testId="password-new"
              onChange={setFresh}
            />
          )}
        </Field>
        <div class="row">
          <button
            type="submit"
            class="button"
            disabled={isBusy || current === "" || fresh.length < CHARS_MIN}
            data-testid="password-save"
          >
            Change password
          </button>
        </div>
      </form>
    </section>
  );
}
