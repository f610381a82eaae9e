/** The rules of a chat: the owner changes them, moderators read them. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../kit/api";
import { describeError } from "../kit/errors";
import { Field, TextField } from "../kit/field";
import { useLoad } from "../kit/load";
import { Failure, Skeleton } from "../kit/states";
import { showToast } from "../kit/toasts";
import {
  hasChanges,
  readDraft,
  startForm,
  takeStored,
  WORDS_MAX,
  type FormState,
  type FullRules,
  type RulesDraft,
} from "./desk_shapes";
import type { Rules } from "./room_rules";
import { describeSpan } from "./writing";

const FOLLOW_AGES_S = [0, 600, 3_600, 86_400, 7 * 86_400, 30 * 86_400];

interface PanelProps {
  roomId: string;
  /** As the room last told them: a change elsewhere is read anew. */
  rules: Rules | null;
  canChange: boolean;
}

export function RulesPanel({ roomId, rules, canChange }: PanelProps) {
  const full = useLoad<FullRules>(roomId, (signal) => api.get(`/live/${roomId}/chat/rules`, { signal }));
  useEffect(() => {
    if (full.data !== null) full.reload();
  }, [rules]);
  if (full.data === null) {
    if (full.error !== null) return <Failure error={full.error} onRetry={full.reload} />;
    return <Skeleton shape="line" count={3} />;
  }
  return (
    <RulesForm
      roomId={roomId}
      stored={full.data}
      canChange={canChange}
      onSaved={(saved) => full.change(() => saved)}
    />
  );
}

interface FormProps {
  roomId: string;
  stored: FullRules;
  canChange: boolean;
  onSaved: (rules: FullRules) => void;
}

function RulesForm({ roomId, stored, canChange, onSaved }: FormProps) {
  const [{ draft, base }, setForm] = useState<FormState>(() => startForm(stored));
  const [isBusy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const isDirty = hasChanges({ draft, base });
  useEffect(() => setForm((form) => takeStored(form, stored)), [stored]);
  const read = readDraft(draft);
  const problemOf = (field: keyof RulesDraft) => ("problem" in read && read.field === field ? read.problem : null);
  const change = (part: Partial<RulesDraft>) => setForm((form) => ({ ...form, draft: { ...form.draft, ...part } }));
  const save = async () => {
    if (!("rules" in read)) return;
    setBusy(true);
    setRefusal(null);
    try {
      const saved = await api.patch<FullRules>(`/live/${roomId}/chat/rules`, read.rules);
      setForm(startForm(saved));
      onSaved(saved);
      showToast("The rules hold from now on.");
    } catch (error) {
      setRefusal(describeError(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      {!canChange && <p class="muted">Only the host changes the rules.</p>}
      <fieldset class="desk-fields" disabled={!canChange || isBusy}>
        <TextField
          label="Slow mode, in seconds"
          hint="Between two lines of one person; 0 is off."
          problem={problemOf("slowMode")}
          value={draft.slowMode}
          autocomplete="off"
          isProse={false}
          testId="rule-slow"
          onChange={(slowMode) => change({ slowMode })}
        />
        <Check
          label="Followers only"
          hint="Others can read, but not write."
          isOn={draft.followersOnly}
          testId="rule-followers"
          onChange={(followersOnly) => change({ followersOnly })}
        />
        {draft.followersOnly && <FollowAge value={draft.followAgeS} onChange={(followAgeS) => change({ followAgeS })} />}
        <Check
          label="Subscribers only"
          hint="Who subscribes to the host writes; others can read."
          isOn={draft.subscribersOnly}
          testId="rule-subscribers"
          onChange={(subscribersOnly) => change({ subscribersOnly })}
        />
        <Check
          label="Hold lines with links"
          hint="They wait for a moderator."
          isOn={draft.holdsLinks}
          testId="rule-links"
          onChange={(holdsLinks) => change({ holdsLinks })}
        />
        <Words
          label="Refused words"
          hint="A line with one of these is not taken."
          problem={problemOf("blocked")}
          value={draft.blocked}
          testId="rule-blocked"
          onChange={(blocked) => change({ blocked })}
        />
        <Words
          label="Held words"
          hint="A line with one of these waits for a moderator."
          problem={problemOf("held")}
          value={draft.held}
          testId="rule-held"
          onChange={(held) => change({ held })}
        />
      </fieldset>
      {refusal && (
        <p class="problem" role="alert">
          {refusal}
        </p>
      )}
      {canChange && (
        <div class="row">
          <button
            type="submit"
            class="button primary"
            disabled={!isDirty || isBusy || !("rules" in read)}
            data-testid="rules-save"
          >
            {isBusy ? "Saving…" : "Save rules"}
          </button>
          {isDirty && (
            <button type="button" class="button quiet" onClick={() => setForm(startForm(base))}>
              Discard changes
            </button>
          )}
        </div>
      )}
    </form>
  );
}

interface CheckProps {
  label: string;
  hint: string;
  isOn: boolean;
  testId: string;
  onChange: (isOn: boolean) => void;
}

function Check({ label, hint, isOn, testId, onChange }: CheckProps) {
  return (
    <label class="desk-check">
      <input
        type="checkbox"
        checked={isOn}
        data-testid={testId}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span>
        <strong>{label}</strong>
        <span class="hint">{hint}</span>
      </span>
    </label>
  );
}

function FollowAge({ value, onChange }: { value: number; onChange: (seconds: number) => void }) {
  const ages = [...new Set([...FOLLOW_AGES_S, value])].sort((a, b) => a - b);
  return (
    <Field label="Who has followed for at least">
      {(control) => (
        <select
          {...control}
          class="input"
          value={String(value)}
          data-testid="rule-follow-age"
          onChange={(event) => onChange(Number(event.currentTarget.value))}
        >
          {ages.map((seconds) => (
            <option key={seconds} value={String(seconds)}>
              {seconds === 0 ? "any time" : describeSpan(seconds)}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface WordsProps {
  label: string;
  hint: string;
  problem: string | null;
  value: string;
  testId: string;
  onChange: (value: string) => void;
}

function Words({ label, hint, problem, value, testId, onChange }: WordsProps) {
  return (
    <Field label={label} hint={`${hint} One per line, at most ${WORDS_MAX}.`} problem={problem}>
      {(control) => (
        <textarea
          {...control}
          class="input"
          rows={4}
          spellcheck={false}
          autocapitalize="none"
          value={value}
          data-testid={testId}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}
