/** When one's own video is published: choose or move the time, publish it now, or keep it private. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { Dialog } from "../kit/dialog";
import { formatMoment, proposeStart, writeLocal } from "../live/schedule";
import { readPublishAt } from "../videos/publication";
import type { Video, Visibility } from "../videos/shapes";
import { PublishTime } from "./publish_field";
import { useSaving } from "./saving";
import { VisibilityField } from "./upload_form";

interface DialogProps {
  video: Video;
  onSaved: (part: Partial<Video>) => void;
  onClose: () => void;
}

export function PublishDialog({ video, onSaved, onClose }: DialogProps) {
  const chosen = video.publication ?? null;
  const [text, setText] = useState(() => (chosen ? writeLocal(Date.parse(chosen.at)) : proposeStart(Date.now())));
  const [visibility, setVisibility] = useState<Visibility>(
    chosen?.visibility ?? (video.visibility === "private" ? "public" : video.visibility),
  );
  const { problem, isBusy, setProblem, act } = useSaving(onClose);
  const put = async (at: string | null) => {
    const saved = await api.put<Video>(`/videos/${video.id}/publication`, { at, visibility });
    onSaved(saved);
    return at === null ? "It is published." : `It is published ${formatMoment(at)}.`;
  };
  const cancel = async () => {
    await api.delete(`/videos/${video.id}/publication`);
    onSaved({ publication: null });
    return "It stays private.";
  };
  const save = () => {
    const read = readPublishAt(text, Date.now());
    if ("problem" in read) setProblem(read.problem);
    else void act(() => put(read.at));
  };
  const isShown = chosen === null && video.visibility !== "private";
  return (
    <Dialog title="When is it published?" onClose={onClose}>
      <form
        class="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        <p class="muted clip">{video.title}</p>
        <PublishTime value={text} problem={problem} onChange={setText} />
        <VisibilityField label="Who can watch from then on" isPublished value={visibility} onChange={setVisibility} />
        {isShown && <p class="muted">It can be watched now. With a time it is hidden until then.</p>}
        <div class="row dialog-actions">
          {chosen && (
            <button
              type="button"
              class="button quiet"
              disabled={isBusy}
              data-testid="publish-cancel"
              onClick={() => void act(cancel)}
            >
              Keep it private
            </button>
          )}
          {!isShown && (
            <button
              type="button"
              class="button"
              disabled={isBusy}
              data-testid="publish-now"
              onClick={() => void act(() => put(null))}
            >
              Publish now
            </button>
          )}
          <button type="submit" class="button primary" disabled={isBusy} data-testid="publish-save">
            {chosen ? "Save time" : "Set the time"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
