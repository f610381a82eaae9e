/** Asks why before an act that somebody else has to bear; the act is done with what was written. */
import { useState } from "preact/hooks";
import { Dialog } from "./dialog";
import { Field } from "./field";
import { showError } from "./toasts";

const REASON_CHARS_MAX = 500;

interface ReasonDialogProps {
  title: string;
  /** What the act does. */
  text: string;
  /** Who reads the reason. */
  hint: string;
  /** What the act is called. */
  act: string;
  testId: string;
  /** Does it and closes; what it throws is shown, and the dialog stays. */
  onGiven: (reason: string) => Promise<void>;
  onClose: () => void;
}

export function ReasonDialog({ title, text, hint, act, testId, onGiven, onClose }: ReasonDialogProps) {
  const [reason, setReason] = useState("");
  const [isBusy, setBusy] = useState(false);
  const give = async () => {
    setBusy(true);
    try {
      await onGiven(reason);
    } catch (error) {
      showError(error);
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void give();
        }}
      >
        <p>{text}</p>
        <Field label="Why" hint={hint}>
          {(control) => (
            <textarea
              {...control}
              class="input"
              required
              maxLength={REASON_CHARS_MAX}
              value={reason}
              data-testid={`${testId}-reason`}
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
            data-testid={`${testId}-confirm`}
          >
            {act}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
