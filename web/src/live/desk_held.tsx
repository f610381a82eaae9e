/** The lines that wait for a moderator, the oldest first; what others decide disappears here too. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Avatar, nameOf } from "../kit/avatar";
import { useLoad, type Loaded } from "../kit/load";
import { Ago, RichText } from "../kit/prose";
import { useChannel } from "../kit/realtime";
import { Empty, Failure, Skeleton } from "../kit/states";
import { showError } from "../kit/toasts";
import { applyDecided, describeReason, type HeldLine } from "./desk_shapes";

/** Many lines held at once are read together. */
const GATHER_MS = 250;

export interface HeldLines {
  lines: HeldLine[];
  loaded: Loaded<{ items: HeldLine[] }>;
  forget: (id: string) => void;
}

export function useHeldLines(roomId: string, socketUrl: string | null): HeldLines {
  const loaded = useLoad<{ items: HeldLine[] }>(roomId, (signal) => api.get(`/live/${roomId}/held`, { signal }));
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const reloadSoon = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(loaded.reload, GATHER_MS);
  };
  useChannel(
    `room:${roomId}`,
    {
      onEvent: (event) => {
        if (event.type === "message_held") reloadSoon();
        loaded.change((known) => ({ items: applyDecided(known.items, event) }));
      },
      onReload: loaded.reload,
    },
    socketUrl,
  );
  return {
    lines: loaded.data?.items ?? [],
    loaded,
    forget: (id) => loaded.change((known) => ({ items: known.items.filter((line) => line.id !== id) })),
  };
}

export function HeldQueue({ roomId, held: { lines, loaded, forget } }: { roomId: string; held: HeldLines }) {
  if (loaded.error !== null && lines.length === 0) return <Failure error={loaded.error} onRetry={loaded.reload} />;
  if (loaded.loading && loaded.data === null) return <Skeleton shape="line" count={2} />;
  if (lines.length === 0) {
    return (
      <Empty title="Nothing waits">
        <p class="muted">Lines with a held word or a link come here before anybody else sees them.</p>
      </Empty>
    );
  }
  return (
    <ul class="desk-rows" aria-label="Held lines">
      {lines.map((line) => (
        <HeldRow key={line.id} roomId={roomId} line={line} onDecided={() => forget(line.id)} />
      ))}
    </ul>
  );
}

function HeldRow({ roomId, line, onDecided }: { roomId: string; line: HeldLine; onDecided: () => void }) {
  const [isBusy, setBusy] = useState(false);
  const decide = async (decision: "approve" | "refuse") => {
    setBusy(true);
    try {
      await api.post(`/live/${roomId}/held/${line.id}`, { decision });
      onDecided();
    } catch (error) {
      showError(error);
      setBusy(false);
    }
  };
  const name = nameOf(line.user);
  return (
    <li data-testid="held-line">
      <Avatar user={line.user} size={36} />
      <div class="grow">
        <p>
          <a class="plain" href={`/u/${line.user.username}`}>
            <strong>{name}</strong>
          </a>{" "}
          <span class="data muted">
            {describeReason(line.why)} · <Ago at={line.created_at} />
          </span>
        </p>
        <p class="desk-text">
          <RichText text={line.text} />
        </p>
      </div>
      <div class="row tight">
        <button
          type="button"
          class="button small"
          disabled={isBusy}
          data-testid="held-refuse"
          onClick={() => void decide("refuse")}
        >
          Refuse<span class="visually-hidden"> the line of {name}</span>
        </button>
        <button
          type="button"
          class="button small primary"
          disabled={isBusy}
          data-testid="held-approve"
          onClick={() => void decide("approve")}
        >
          Approve<span class="visually-hidden"> the line of {name}</span>
        </button>
      </div>
    </li>
  );
}
