/** Whether somebody is there, as far as they let us see. Nothing is shown of whoever is offline or hides it. */
import { useState } from "preact/hooks";
import { useChannel } from "../kit/realtime";
import "./dot.css";

const WORDS = { online: "Online", away: "Away" } as const;

type Presence = keyof typeof WORDS | null;

export function PresenceDot({ userId }: { userId: string }) {
  const [presence, setPresence] = useState<Presence>(null);
  useChannel(`presence:${userId}`, {
    onEvent: (event) => {
      if (event.type === "presence") setPresence(readPresence(event.data));
    },
    onRefused: () => setPresence(null),
  });
  if (presence === null) return null;
  return (
    <span class={`presence ${presence}`} title={WORDS[presence]} data-testid="presence" data-presence={presence}>
      <span class="visually-hidden">{WORDS[presence]}</span>
    </span>
  );
}

/** What the channel says, as one of the states that are shown. */
export function readPresence(data: unknown): Presence {
  const { status } = (data ?? {}) as { status?: unknown };
  return status === "online" || status === "away" ? status : null;
}
