/** Who helps and who is silenced: appoint and dismiss moderators, undo bans and time-outs. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { Avatar, nameOf } from "../kit/avatar";
import { describeError } from "../kit/errors";
import { TextField } from "../kit/field";
import { useLoad } from "../kit/load";
import { useNow } from "../kit/now";
import { useChannel } from "../kit/realtime";
import { Failure, Skeleton } from "../kit/states";
import { showError, showToast } from "../kit/toasts";
import { formatDuration } from "../kit/words";
import type { Author } from "../videos/shapes";
import type { Silenced } from "./desk_shapes";

interface PanelProps {
  roomId: string;
  moderators: Author[];
  canAppoint: boolean;
  socketUrl: string | null;
}

export function PeoplePanel({ roomId, moderators, canAppoint, socketUrl }: PanelProps) {
  return (
    <div class="desk-columns">
      <Moderators roomId={roomId} moderators={moderators} canAppoint={canAppoint} />
      <SilencedPeople roomId={roomId} socketUrl={socketUrl} />
    </div>
  );
}

function Moderators({ roomId, moderators, canAppoint }: Omit<PanelProps, "socketUrl">) {
  const dismiss = async (person: Author) => {
    try {
      await api.delete(`/live/${roomId}/moderators/${person.username}`);
      showToast(`${nameOf(person)} does not moderate this chat any more.`);
    } catch (error) {
      showError(error);
    }
  };
  return (
    <section class="stack" aria-labelledby="desk-moderators">
      <h3 id="desk-moderators">Moderators</h3>
      {moderators.length === 0 && <p class="muted">Nobody but the host.</p>}
      <ul class="desk-rows">
        {moderators.map((person) => (
          <li key={person.id} data-testid="moderator">
            <Avatar user={person} size={36} />
            <p class="grow clip">
              <a class="plain" href={`/u/${person.username}`}>
                <strong>{nameOf(person)}</strong>
              </a>{" "}
              <span class="data muted">@{person.username}</span>
            </p>
            {canAppoint && (
              <button
                type="button"
                class="button small"
                data-testid="moderator-remove"
                onClick={() => void dismiss(person)}
              >
                Remove<span class="visually-hidden"> {person.username}</span>
              </button>
            )}
          </li>
        ))}
      </ul>
      {canAppoint && <AppointForm roomId={roomId} />}
    </section>
  );
}

function AppointForm({ roomId }: { roomId: string }) {
  const [name, setName] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const username = name.trim().replace(/^@/, "");
  const appoint = async () => {
    if (username === "") return;
    setProblem(null);
    try {
      await api.post(`/live/${roomId}/moderators`, { username });
      showToast(`@${username} moderates this chat now.`);
      setName("");
    } catch (error) {
      setProblem(describeError(error));
    }
  };
  return (
    <form
      class="desk-add"
      onSubmit={(event) => {
        event.preventDefault();
        void appoint();
      }}
    >
      <TextField
        label="Add a moderator by name"
        problem={problem}
        value={name}
        autocomplete="off"
        isProse={false}
        placeholder="username"
        testId="moderator-name"
        onChange={setName}
      />
      <button type="submit" class="button" disabled={username === ""} data-testid="moderator-add">
        Add
      </button>
    </form>
  );
}

function SilencedPeople({ roomId, socketUrl }: { roomId: string; socketUrl: string | null }) {
  const people = useLoad<{ items: Silenced[] }>(roomId, (signal) => api.get(`/live/${roomId}/bans`, { signal }));
  useChannel(
    `room:${roomId}`,
    {
      onEvent: (event) => event.type === "member_changed" && people.reload(),
      onReload: people.reload,
    },
    socketUrl,
  );
  const items = people.data?.items ?? [];
  const ends = items.map((person) => (person.timed_out_until ? Date.parse(person.timed_out_until) : 0));
  const nowMs = useNow(Math.max(0, ...ends));
  const shown = items.filter((person) => person.is_banned || Date.parse(person.timed_out_until ?? "") > nowMs);
  return (
    <section class="stack" aria-labelledby="desk-silenced">
      <h3 id="desk-silenced">Banned and timed out</h3>
      {people.error !== null && people.data === null && <Failure error={people.error} onRetry={people.reload} />}
      {people.loading && people.data === null && <Skeleton shape="line" count={2} />}
      {people.data !== null && shown.length === 0 && (
        <p class="muted">Nobody. The shield beside a line is where it would be done.</p>
      )}
      <ul class="desk-rows">
        {shown.map((person) => (
          <SilencedRow key={person.user.id} roomId={roomId} person={person} nowMs={nowMs} onDone={people.reload} />
        ))}
      </ul>
    </section>
  );
}

interface SilencedProps {
  roomId: string;
  person: Silenced;
  nowMs: number;
  onDone: () => void;
}

function SilencedRow({ roomId, person: { user, is_banned: isBanned, timed_out_until: until, reason }, nowMs, onDone }: SilencedProps) {
  const pardon = async () => {
    try {
      await api.delete(`/live/${roomId}/bans/${user.username}`);
      showToast(`${nameOf(user)} may write again.`);
      onDone();
    } catch (error) {
      showError(error);
    }
  };
  const leftS = (Date.parse(until ?? "") - nowMs) / 1_000;
  return (
    <li data-testid="silenced">
      <Avatar user={user} size={36} />
      <div class="grow">
        <p class="clip">
          <strong>{nameOf(user)}</strong> <span class="data muted">@{user.username}</span>
        </p>
        <p class="data muted">
          {isBanned ? "Banned" : `Timed out, ${formatDuration(leftS)} left`}
          {reason && ` · ${reason}`}
        </p>
      </div>
      <button type="button" class="button small" data-testid="pardon" onClick={() => void pardon()}>
        Undo<span class="visually-hidden"> for {user.username}</span>
      </button>
    </li>
  );
}
