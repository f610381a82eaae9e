/** Another title or audience of one's own live, before it begins or while it is on air. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { Dialog } from "../kit/dialog";
import { TextField } from "../kit/field";
import type { Live } from "../live/shapes";
import { chooseChanges, describeChange } from "./change_words";
import { LIVE_TITLE_MAX } from "./rooms";
import { useSaving } from "./saving";
import { VisibilityField } from "./upload_form";

interface DialogProps {
  live: Live;
  isOnAir: boolean;
  onSaved: (live: Live) => void;
  onClose: () => void;
}

export function ChangeDialog({ live, isOnAir, onSaved, onClose }: DialogProps) {
  const [before] = useState(live);
  const [title, setTitle] = useState(live.title);
  const [visibility, setVisibility] = useState(live.visibility);
  const { problem, isBusy, setProblem, act } = useSaving(onClose);
  const said = isOnAir ? describeChange(before, { title, visibility }) : [];
  const save = async () => {
    const saved = await api.patch<Live>(`/live/${live.id}`, chooseChanges(before, { title, visibility }));
    // Its status is the room's to say: this answer may be older than what was heard.
    onSaved({ ...live, title: saved.title, visibility: saved.visibility });
    return "Saved.";
  };
  return (
    <Dialog title="Title and audience" onClose={onClose}>
      <form
        class="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (title.trim() === "") setProblem("It needs a title.");
          else void act(save);
        }}
      >
        <TextField
          label="Title"
          problem={problem}
          maxLength={LIVE_TITLE_MAX}
          value={title}
          testId="change-title"
          onChange={setTitle}
        />
        <VisibilityField value={visibility} onChange={setVisibility} />
        <div role="status" data-testid="change-does">
          {said.map((sentence) => (
            <p key={sentence}>{sentence}</p>
          ))}
        </div>
        <div class="row dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary" disabled={isBusy} data-testid="change-save">
            Save
          </button>
        </div>
      </form>
    </Dialog>
  );
}
