/** What is said in the room's name: an announcement, and a raid that sends the viewers on. */
import { useRef, useState } from "preact/hooks";
import { api, type Page } from "../kit/api";
import { Avatar, nameOf } from "../kit/avatar";
import { Confirm } from "../kit/dialog";
import { describeError } from "../kit/errors";
import { Field } from "../kit/field";
import { Icon } from "../kit/icons";
import { useLoad } from "../kit/load";
import { Failure, Skeleton } from "../kit/states";
import { showError, showToast } from "../kit/toasts";
import type { Live } from "./shapes";
import { ViewerCount } from "./tally";

const ANNOUNCEMENT_MAX = 500;
const TARGETS_MAX = 50;

export function AnnouncementForm({ roomId }: { roomId: string }) {
  const [text, setText] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  // Sent again under the same id when we do not know whether it arrived: it is said once.
  const attempt = useRef({ text: "", client_id: "" });
  const announce = async () => {
    setBusy(true);
    setProblem(null);
    const said = text.trim();
    if (attempt.current.text !== said) attempt.current = { text: said, client_id: crypto.randomUUID() };
    try {
      await api.post(`/live/${roomId}/announcements`, attempt.current);
      attempt.current = { text: "", client_id: "" };
      setText("");
      showToast("Everybody in the room reads it now.");
    } catch (error) {
      setProblem(describeError(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="stack"
      aria-label="Announcement"
      onSubmit={(event) => {
        event.preventDefault();
        void announce();
      }}
    >
      <Field label="Announcement" hint="Stands above everybody's chat until the next one." problem={problem}>
        {(control) => (
          <textarea
            {...control}
            class="input"
            rows={2}
            maxLength={ANNOUNCEMENT_MAX}
            value={text}
            data-testid="announce-text"
            onInput={(event) => setText(event.currentTarget.value)}
          />
        )}
      </Field>
      <div class="row">
        <button type="submit" class="button" disabled={isBusy || text.trim() === ""} data-testid="announce">
          <Icon name="horn" size={18} /> Announce
        </button>
      </div>
    </form>
  );
}

export function RaidForm({ roomId }: { roomId: string }) {
  const lives = useLoad<Page<Live>>("raid targets", (signal) =>
    api.get<Page<Live>>("/live", { query: { limit: TARGETS_MAX }, signal }),
  );
  const [chosen, setChosen] = useState<Live | null>(null);
  const [isAsking, setAsking] = useState(false);
  const targets = lives.data?.items.filter((live) => live.id !== roomId && live.status === "live") ?? [];
  const raid = async (target: Live) => {
    try {
      await api.post(`/live/${roomId}/raid`, { live_id: target.id });
      showToast(`Your viewers are on their way to ${nameOf(target.owner)}.`);
    } catch (error) {
      showError(error);
      lives.reload();
    }
  };
  return (
    <section class="stack" aria-labelledby="desk-raid">
      <header class="row spread">
        <h3 id="desk-raid">Raid</h3>
        <button type="button" class="button small quiet" onClick={lives.reload}>
          <Icon name="retry" size={16} /> Look again
        </button>
      </header>
      <p class="muted">Send your viewers on to somebody who is on air. Each of them can stay.</p>
      {lives.error !== null && lives.data === null && <Failure error={lives.error} onRetry={lives.reload} />}
      {lives.loading && lives.data === null && <Skeleton shape="line" count={2} />}
      {lives.data !== null && targets.length === 0 && <p class="muted">Nobody else is on air right now.</p>}
      <div class="raid-targets" role="radiogroup" aria-labelledby="desk-raid">
        {targets.map((live) => (
          <label key={live.id} class="raid-target" data-testid="raid-target">
            <input
              type="radio"
              name="raid-target"
              checked={chosen?.id === live.id}
              onChange={() => setChosen(live)}
            />
            <Avatar user={live.owner} size={36} />
            <span class="grow">
              <strong class="clip">{live.title}</strong>
              <span class="data muted clip">{nameOf(live.owner)}</span>
            </span>
            {live.viewers ? <ViewerCount viewers={live.viewers} /> : null}
          </label>
        ))}
      </div>
      {targets.length > 0 && (
        <div class="row">
          <button
            type="button"
            class="button"
            disabled={chosen === null}
            data-testid="raid"
            onClick={() => setAsking(true)}
          >
            Raid{chosen && ` ${nameOf(chosen.owner)}`}
          </button>
        </div>
      )}
      {isAsking && chosen && (
        <Confirm
          title={`Raid ${nameOf(chosen.owner)}?`}
          text={`Everyone who watches you is taken to “${chosen.title}” by ${nameOf(chosen.owner)}. Your own broadcast goes on until you end it.`}
          action={`Raid ${nameOf(chosen.owner)}`}
          onConfirm={() => void raid(chosen)}
          onClose={() => setAsking(false)}
        />
      )}
    </section>
  );
}
