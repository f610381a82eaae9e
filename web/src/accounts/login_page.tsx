/** Logging in. */
import { useState } from "preact/hooks";
import { ApiError, describeError } from "../kit/errors";
import { Field, TextField } from "../kit/field";
import { navigate, useTitle } from "../kit/router";
import { login } from "../kit/session";
import type { PageProps } from "../shell/routes";
import { decideNext, EntryForm } from "./entry_form";
import { PasswordInput } from "./password_input";

export default function LoginPage({ search }: PageProps) {
  useTitle("Log in");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const next = decideNext(search);
  const submit = async () => {
    if (isBusy) return;
    setBusy(true);
    setProblem(null);
    try {
      await login(name.trim(), password);
      navigate(next, true);
    } catch (error) {
      const isWrong = error instanceof ApiError && error.status === 401;
      setProblem(isWrong ? "This name and password do not go together." : describeError(error));
      setBusy(false);
    }
  };
  return (
    <EntryForm
      title="Log in"
      action="Log in"
      testId="login-submit"
      isBusy={isBusy}
      problem={problem}
      onSubmit={() => void submit()}
      other={
        <>
          New here? <a href={`/register?next=${encodeURIComponent(next)}`}>Create an account</a>
        </>
      }
    >
      <TextField
        label="Username or e-mail"
        autocomplete="username"
        isProse={false}
        required
        value={name}
        testId="login-login"
        onChange={setName}
      />
      <Field label="Password">
        {(props) => (
          <PasswordInput
            control={props}
            value={password}
            autocomplete="current-password"
            testId="login-password"
            onChange={setPassword}
          />
        )}
      </Field>
    </EntryForm>
  );
}
