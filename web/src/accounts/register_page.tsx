/** Creating an account. The server decides what is allowed; its refusals stand at the field they are about. */
import { useState } from "preact/hooks";
import { describeError, findFieldError } from "../kit/errors";
import { Field, TextField } from "../kit/field";
import { navigate, useTitle } from "../kit/router";
import { register } from "../kit/session";
import type { PageProps } from "../shell/routes";
import { decideNext, EntryForm } from "./entry_form";
import { PasswordInput } from "./password_input";

interface Registration {
  username: string;
  email: string;
  password: string;
}

const FIELDS = ["username", "email", "password"] as const;

export default function RegisterPage({ search }: PageProps) {
  useTitle("Create an account");
  const [form, setForm] = useState<Registration>({ username: "", email: "", password: "" });
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);
  const next = decideNext(search);
  const submit = async () => {
    if (isBusy) return;
    setBusy(true);
    setFailure(null);
    try {
      await register(form.username.trim().toLowerCase(), form.email.trim(), form.password);
      navigate(next, true);
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  };
  const isAtField = FIELDS.some((field) => findFieldError(failure, field) !== null);
  return (
    <EntryForm
      title="Create an account"
      action="Create account"
      testId="register-submit"
      isBusy={isBusy}
      problem={failure === null || isAtField ? null : describeError(failure)}
      onSubmit={() => void submit()}
      other={
        <>
          Already here? <a href={`/login?next=${encodeURIComponent(next)}`}>Log in</a>
        </>
      }
    >
      <RegisterFields form={form} failure={failure} onChange={setForm} />
    </EntryForm>
  );
}

interface FieldsProps {
  form: Registration;
  failure: unknown;
  onChange: (form: Registration) => void;
}

function RegisterFields({ form, failure, onChange }: FieldsProps) {
  return (
    <>
      <TextField
        label="Username"
        hint="3 to 30 small letters, digits and underscores. It is in your address."
        problem={findFieldError(failure, "username")}
        autocomplete="username"
        isProse={false}
        required
        maxLength={30}
        value={form.username}
        testId="register-username"
        onChange={(username) => onChange({ ...form, username })}
      />
      <TextField
        label="E-mail"
        problem={findFieldError(failure, "email")}
        type="email"
        autocomplete="email"
        required
        value={form.email}
        testId="register-email"
        onChange={(email) => onChange({ ...form, email })}
      />
      <Field
        label="Password"
        hint="At least 10 characters. A long one beats a complicated one."
        problem={findFieldError(failure, "password")}
      >
        {(props) => (
          <PasswordInput
            control={props}
            value={form.password}
            autocomplete="new-password"
            testId="register-password"
            onChange={(password) => onChange({ ...form, password })}
          />
        )}
      </Field>
    </>
  );
}
