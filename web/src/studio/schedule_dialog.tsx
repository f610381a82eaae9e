/** The form that says when a live will begin. */
import { useState } from "preact/hooks";
import { Dialog } from "../kit/dialog";
import { describeError } from "../kit/errors";
import { proposeStart, readLocal, writeLocal } from "../live/schedule";
import { TimeInput } from "./time_input";

interface DialogProps {
  title: string;
  /** The present time of a live that has one. */
  at: string | null;
  action: string;
  /** Rejects with what refuses it. */
  onChoose: (iso: string) => Promise<void>;
  onClose: () => void;
}

export function ScheduleDialog({ title, at, action, onChoose, onClose }: DialogProps) {
  const [text, setText] = useState(() => (at ? writeLocal(Date.parse(at)) : proposeStart(Date.now())));
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const choose = async () => {
    const read = readLocal(text, Date.now());
    if ("problem" in read) return setProblem(read.problem);
    setBusy(true);
    setProblem(null);
    try {
      await onChoose(read.iso);
      onClose();
    } catch (error) {
      setProblem(describeError(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        class="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void choose();
        }}
      >
        <TimeInput
          label="It begins"
          note="Others see it in theirs."
          testId="schedule-time"
          value={text}
          problem={problem}
          onChange={setText}
        />
        <p class="muted">It is listed as coming up until you go live, early or late.</p>
        <div class="row dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary" disabled={isBusy} data-testid="schedule-save">
            {action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
