/** Settings: the profile, the theme, and the places where one is logged in. */
import { useState } from "preact/hooks";
import { api, type Page } from "../kit/api";
import { describeError } from "../kit/errors";
import { Field, TextField } from "../kit/field";
import { useLoad, type Loaded } from "../kit/load";
import { Ago } from "../kit/prose";
import { useTitle } from "../kit/router";
import { currentUser, keepUser, type PresenceAudience, type SessionUser } from "../kit/session";
import { Failure, Skeleton } from "../kit/states";
import { useStore } from "../kit/store";
import { setTheme, theme, type Theme } from "../kit/theme";
import { showError, showToast } from "../kit/toasts";
import { describeDevice } from "./device";
import { PasswordForm } from "./password_form";
import "./settings_page.css";

interface Session {
  id: string;
  user_agent: string;
  created_at: string;
  last_used_at: string;
  is_current: boolean;
}

export default function SettingsPage() {
  useTitle("Settings");
  const user = useStore(currentUser);
  const sessions = useLoad<Page<Session>>("sessions", (signal) => api.get<Page<Session>>("/sessions", { signal }));
  return (
    <div class="page narrow settings">
      <h1>Settings</h1>
      {user && <ProfileForm key={user.id} user={user} />}
      <ThemeChoice />
      {user && <PresenceChoice user={user} />}
      <PasswordForm onChanged={sessions.reload} />
      <Sessions sessions={sessions} />
    </div>
  );
}

function ProfileForm({ user }: { user: SessionUser }) {
  const [displayName, setDisplayName] = useState(user.display_name);
  const [bio, setBio] = useState(user.bio ?? "");
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    setProblem(null);
    try {
      keepUser({
        ...user,
        ...(await api.patch<SessionUser>("/me", { display_name: displayName.trim(), bio })),
      });
      showToast("Profile saved.");
    } catch (error) {
      setProblem(describeError(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <section aria-labelledby="profile-title">
      <h2 id="profile-title">Profile</h2>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <TextField
          label="Display name"
          problem={problem}
          maxLength={60}
          autocomplete="name"
          value={displayName}
          testId="settings-name"
          onChange={setDisplayName}
        />
        <Field label="About you">
          {(props) => (
            <textarea
              {...props}
              class="input"
              maxLength={500}
              value={bio}
              data-testid="settings-bio"
              onInput={(event) => setBio(event.currentTarget.value)}
            />
          )}
        </Field>
        <div class="row">
          <button type="submit" class="button primary" disabled={isBusy} data-testid="settings-save">
            Save
          </button>
        </div>
      </form>
    </section>
  );
}

const THEMES: readonly { value: Theme; label: string }[] = [
  { value: "system", label: "As the system" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
];

function ThemeChoice() {
  const chosen = useStore(theme);
  return (
    <section aria-labelledby="theme-title">
      <h2 id="theme-title">Theme</h2>
      <fieldset class="choices">
        <legend class="visually-hidden">Theme</legend>
        {THEMES.map((choice) => (
          <label key={choice.value}>
            <input
              type="radio"
              name="theme"
              value={choice.value}
              checked={chosen === choice.value}
              onChange={() => setTheme(choice.value)}
            />
            <span>{choice.label}</span>
          </label>
        ))}
      </fieldset>
    </section>
  );
}

const AUDIENCES: readonly { value: PresenceAudience; label: string }[] = [
  { value: "everyone", label: "Everyone" },
  { value: "followers", label: "Your followers" },
  { value: "nobody", label: "Nobody" },
];

function PresenceChoice({ user }: { user: SessionUser }) {
  const chosen = user.presence_audience ?? "everyone";
  const choose = async (presence_audience: PresenceAudience) => {
    keepUser({ ...user, presence_audience });
    try {
      keepUser({ ...user, ...(await api.patch<SessionUser>("/me", { presence_audience })) });
      showToast("Saved.");
    } catch (error) {
      keepUser(user);
      showError(error);
    }
  };
  return (
    <section aria-labelledby="presence-title">
      <h2 id="presence-title">Who sees whether you are there</h2>
      <fieldset class="choices">
        <legend class="visually-hidden">Who sees whether you are there</legend>
        {AUDIENCES.map((choice) => (
          <label key={choice.value}>
            <input
              type="radio"
              name="presence-audience"
              value={choice.value}
              checked={chosen === choice.value}
              data-testid={`presence-${choice.value}`}
              onChange={() => void choose(choice.value)}
            />
            <span>{choice.label}</span>
          </label>
        ))}
      </fieldset>
    </section>
  );
}

function Sessions({ sessions }: { sessions: Loaded<Page<Session>> }) {
  const revoke = async (session: Session) => {
    try {
      await api.delete(`/sessions/${session.id}`);
      sessions.change((page) => ({ ...page, items: page.items.filter((known) => known.id !== session.id) }));
      showToast("Logged out there.");
    } catch (error) {
      showError(error);
    }
  };
  return (
    <section aria-labelledby="sessions-title">
      <h2 id="sessions-title">Where you are logged in</h2>
      {sessions.error !== null && <Failure error={sessions.error} onRetry={sessions.reload} />}
      {sessions.loading && !sessions.data && <Skeleton shape="line" count={2} />}
      <ul class="sessions">
        {sessions.data?.items.map((session) => (
          <li key={session.id} data-testid="session">
            <div class="grow">
              <p>
                <strong>{describeDevice(session.user_agent)}</strong>{" "}
                {session.is_current && <span class="chip ready">this one</span>}
              </p>
              <p class="data muted">
                Last used <Ago at={session.last_used_at} />
              </p>
            </div>
            {!session.is_current && (
              <button type="button" class="button small" onClick={() => void revoke(session)}>
                Log out
                <span class="visually-hidden"> {describeDevice(session.user_agent)}</span>
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
