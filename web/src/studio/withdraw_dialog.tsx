/** Until when others may watch one's own video: choose or move the time, or let it stay. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { Dialog } from "../kit/dialog";
import { formatMoment, readLocal, writeLocal } from "../live/schedule";
import { proposeWithdrawal } from "../videos/publication";
import type { Video } from "../videos/shapes";
import { useSaving } from "./saving";
import { TimeInput } from "./time_input";

interface DialogProps {
  video: Video;
  onSaved: (part: Partial<Video>) => void;
  onClose: () => void;
}

export function WithdrawDialog({ video, onSaved, onClose }: DialogProps) {
  const chosen = video.withdrawal ?? null;
  const [text, setText] = useState(() =>
    writeLocal(chosen ? Date.parse(chosen.at) : proposeWithdrawal(video, Date.now())),
  );
  const { problem, isBusy, setProblem, act } = useSaving(onClose);
  const put = async (at: string) => {
    onSaved(await api.put<Video>(`/videos/${video.id}/withdrawal`, { at }));
    return `It can be watched until ${formatMoment(at)}.`;
  };
  const cancel = async () => {
    await api.delete(`/videos/${video.id}/withdrawal`);
    onSaved({ withdrawal: null });
    return "It stays.";
  };
  const save = () => {
    const read = readLocal(text, Date.now());
    if ("problem" in read) setProblem(read.problem);
    else void act(() => put(read.iso));
  };
  return (
    <Dialog title="Until when can it be watched?" onClose={onClose}>
      <form
        class="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        <p class="muted clip">{video.title}</p>
        <TimeInput
          label="It is taken back"
          note="From then on only you see it."
          testId="withdraw-time"
          value={text}
          problem={problem}
          onChange={setText}
        />
        <div class="row dialog-actions">
          {chosen && (
            <button
              type="button"
              class="button quiet"
              disabled={isBusy}
              data-testid="withdraw-cancel"
              onClick={() => void act(cancel)}
            >
              Let it stay
            </button>
          )}
          <button type="submit" class="button primary" disabled={isBusy} data-testid="withdraw-save">
            {chosen ? "Save time" : "Set the time"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
