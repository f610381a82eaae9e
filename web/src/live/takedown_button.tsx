/** Taking somebody's live down as a moderator of the site: the button on its page, and what is asked before. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { Dialog } from "../kit/dialog";
import { Field } from "../kit/field";
import { showError, showToast } from "../kit/toasts";
import type { Live } from "./shapes";
import { describeTakedown, REASON_CHARS_MAX } from "./takedown";

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
  const [reason, setReason] = useState("");
  const [isBusy, setBusy] = useState(false);
  const takeDown = async () => {
    setBusy(true);
    try {
      await api.post(`/live/${live.id}/takedown`, { reason });
      showToast(`“${live.title}” is taken down.`);
      onClose();
      onDone();
    } catch (error) {
      showError(error);
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Take “${live.title}” down?`} onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void takeDown();
        }}
      >
        <p>{describeTakedown(live)} This cannot be undone.</p>
        <Field label="Why" hint="For the record of acts, which administrators read. Its owner is not told.">
          {(control) => (
            <textarea
              {...control}
              class="input"
              required
              maxLength={REASON_CHARS_MAX}
              value={reason}
              data-testid="takedown-reason"
              onInput={(event) => setReason(event.currentTarget.value)}
            />
          )}
        </Field>
        <div class="row dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button
            type="submit"
            class="button danger"
            disabled={isBusy || reason.trim() === ""}
            data-testid="takedown-confirm"
          >
            Take down
          </button>
        </div>
      </form>
    </Dialog>
  );
}
