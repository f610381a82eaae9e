/** People by name, with what a moderator or administrator may do about them. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Avatar } from "../kit/avatar";
import { TextField } from "../kit/field";
import { usePages } from "../kit/load";
import { Ago } from "../kit/prose";
import { ReasonDialog } from "../kit/reason_dialog";
import { currentUser } from "../kit/session";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { useStore } from "../kit/store";
import { showError, showToast } from "../kit/toasts";
import { canActOn, ROLES, type Role, type Standing } from "./shapes";

const TYPING_PAUSE_MS = 250;

export function People({ isAdmin }: { isAdmin: boolean }) {
  const [text, setText] = useState("");
  const [name, setName] = useState("");
  const [banning, setBanning] = useState<Standing | null>(null);
  useEffect(() => {
    const timer = setTimeout(() => setName(text.trim().replace(/[^A-Za-z0-9_]/g, "")), TYPING_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const pages = usePages<Standing>("/admin/users", { name });
  const keep = (person: Standing) =>
    pages.change((items) => items.map((known) => (known.id === person.id ? person : known)));
  return (
    <section class="stack" aria-label="People">
      <div class="admin-search">
        <TextField
          label="Username begins with"
          value={text}
          isProse={false}
          maxLength={30}
          autocomplete="off"
          testId="people-search"
          onChange={setText}
        />
      </div>
      <ul class="admin-rows">
        {pages.items.map((person) => (
          <PersonRow key={person.id} person={person} isAdmin={isAdmin} onBan={setBanning} onChange={keep} />
        ))}
      </ul>
      {pages.error !== null && <Failure error={pages.error} onRetry={pages.reload} />}
      {pages.loading && pages.items.length === 0 && <Skeleton shape="line" count={4} />}
      {!pages.loading && pages.error === null && pages.items.length === 0 && (
        <Empty title="Nobody here">
          <p class="muted">No username begins with “{name}”.</p>
        </Empty>
      )}
      <ListEnd pages={pages} />
      {banning !== null && <BanDialog person={banning} onClose={() => setBanning(null)} onBanned={keep} />}
    </section>
  );
}

interface RowProps {
  person: Standing;
  isAdmin: boolean;
  onBan: (person: Standing) => void;
  onChange: (person: Standing) => void;
}

function PersonRow({ person, isAdmin, onBan, onChange }: RowProps) {
  const user = useStore(currentUser);
  const isMe = user?.username === person.username;
  const act = async (work: Promise<Standing>, done: string) => {
    try {
      onChange(await work);
      showToast(done);
    } catch (error) {
      showError(error);
      onChange({ ...person });
    }
  };
  return (
    <li data-testid="person">
      <Avatar user={person} size={40} />
      <div class="grow">
        <p class="clip">
          <a href={`/u/${person.username}`}>
            <strong>@{person.username}</strong>
          </a>{" "}
          {person.banned_at !== null && <span class="chip failed">banned</span>}
        </p>
        <p class="data muted clip">
          {person.email} · joined <Ago at={person.created_at} />
        </p>
        {person.banned_at !== null && <p class="muted">{person.ban_reason}</p>}
      </div>
      {isAdmin && !isMe ? (
        <RoleChoice
          person={person}
          onChoose={(role) =>
            void act(
              api.put<Standing>(`/admin/users/${person.username}/role`, { role }),
              `@${person.username} is ${role} now and has to log in again.`,
            )
          }
        />
      ) : (
        <span class="chip">{person.role}</span>
      )}
      {canActOn(user, person) &&
        (person.banned_at === null ? (
          <button type="button" class="button small danger" data-testid="ban" onClick={() => onBan(person)}>
            Ban<span class="visually-hidden"> {person.username}</span>
          </button>
        ) : (
          <button
            type="button"
            class="button small"
            data-testid="unban"
            onClick={() =>
              void act(
                api.delete<Standing>(`/admin/users/${person.username}/ban`),
                `@${person.username} may log in again.`,
              )
            }
          >
            Lift ban<span class="visually-hidden"> of {person.username}</span>
          </button>
        ))}
    </li>
  );
}

function RoleChoice({ person, onChoose }: { person: Standing; onChoose: (role: Role) => void }) {
  return (
    <label>
      <span class="visually-hidden">Role of {person.username}</span>
      <select
        class="input small"
        data-testid="role"
        value={person.role}
        onChange={(event) => onChoose(event.currentTarget.value as Role)}
      >
        {ROLES.map((role) => (
          <option key={role} value={role}>
            {role}
          </option>
        ))}
      </select>
    </label>
  );
}

interface BanProps {
  person: Standing;
  onClose: () => void;
  onBanned: (person: Standing) => void;
}

function BanDialog({ person, onClose, onBanned }: BanProps) {
  const ban = async (reason: string) => {
    onBanned(await api.put<Standing>(`/admin/users/${person.username}/ban`, { reason }));
    showToast(`@${person.username} is banned and logged out everywhere.`);
    onClose();
  };
  return (
    <ReasonDialog
      title={`Ban @${person.username}`}
      text="They are logged out everywhere within a second and cannot log in. What they made stays."
      hint="They read this when they try to log in."
      act="Ban"
      testId="ban"
      onGiven={ban}
      onClose={onClose}
    />
  );
}
