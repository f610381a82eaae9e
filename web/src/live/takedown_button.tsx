/** Taking somebody's live down as a moderator of the site: the button on its page, and what is asked before. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { ReasonDialog } from "../kit/reason_dialog";
import { showToast } from "../kit/toasts";
import type { Live } from "./shapes";
import { describeTakedown } from "./takedown";

interface TakedownProps {
  /** With the status that the room has now. */
  live: Live;
  onDone: () => void;
}

export function TakedownButton({ live, onDone }: TakedownProps) {
  const [isAsking, setAsking] = useState(false);
  return (
    <>
      <button type="button" class="button small danger take-down" data-testid="take-down" onClick={() => setAsking(true)}>
        Take down
      </button>
      {isAsking && <TakedownDialog live={live} onDone={onDone} onClose={() => setAsking(false)} />}
    </>
  );
}

function TakedownDialog({ live, onDone, onClose }: TakedownProps & { onClose: () => void }) {
  const takeDown = async (reason: string) => {
    await api.post(`/live/${live.id}/takedown`, { reason });
    showToast(`“${live.title}” is taken down.`);
    onClose();
    onDone();
  };
  return (
    <ReasonDialog
      title={`Take “${live.title}” down?`}
      text={`${describeTakedown(live)} This cannot be undone.`}
      hint="Its owner reads it, without your name. It is on the record of acts, too."
      act="Take down"
      testId="takedown"
      onGiven={takeDown}
      onClose={onClose}
    />
  );
}
