/** The picture a video shows before it plays: one of those found, or one's own. */
import { useId, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Dialog } from "../kit/dialog";
import { describeError } from "../kit/errors";
import { useLoad } from "../kit/load";
import { Failure, Skeleton } from "../kit/states";
import type { Video } from "../videos/shapes";
import "./subtitles_dialog.css";
import "./picture_dialog.css";

interface Found {
  index: number;
  url: string;
  is_chosen: boolean;
}

interface PictureDialogProps {
  video: Video;
  onSaved: (part: Partial<Video>) => void;
  onClose: () => void;
}

const SIDE_MAX = 1280;

/** The size with no side longer than `max`, as the server keeps it. */
export function fitInside(width: number, height: number, max = SIDE_MAX): { width: number; height: number } {
  const scale = Math.min(1, max / Math.max(width, height));
  return { width: Math.round(width * scale), height: Math.round(height * scale) };
}

/** Scales the picture here, so that a large photograph travels as a small one. */
async function readPicture(file: File): Promise<string> {
  const picture = await createImageBitmap(file);
  const canvas = Object.assign(document.createElement("canvas"), fitInside(picture.width, picture.height));
  canvas.getContext("2d")?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return canvas.toDataURL("image/jpeg", 0.9).replace(/^[^,]*,/, "");
}

export function PictureDialog({ video, onSaved, onClose }: PictureDialogProps) {
  const path = `/videos/${video.id}/thumbnails`;
  const found = useLoad<{ items: Found[] }>(path, (signal) => api.get(path, { signal }));
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const fileId = useId();
  const choose = async (make: () => Promise<object>) => {
    setBusy(true);
    setProblem(null);
    try {
      onSaved(await api.put<Video>(`/videos/${video.id}/thumbnail`, await make()));
      onClose();
    } catch (error) {
      setProblem(error instanceof DOMException ? "This file is not a picture we can read." : describeError(error));
      setBusy(false);
    }
  };
  const items = found.data?.items ?? [];
  return (
    <Dialog title="Choose the picture" onClose={onClose}>
      <div class="stack">
        {found.error !== null && <Failure error={found.error} onRetry={found.reload} />}
        {found.loading && <Skeleton shape="row" count={1} />}
        {items.length > 0 && (
          <ul class="pictures" data-testid="pictures">
            {items.map((item) => (
              <li key={item.index}>
                <button
                  type="button"
                  class="picture-choice"
                  aria-pressed={item.is_chosen}
                  disabled={isBusy}
                  onClick={() => choose(async () => ({ index: item.index }))}
                >
                  <img src={item.url} alt={`Picture ${item.index + 1} of ${items.length}`} />
                </button>
              </li>
            ))}
          </ul>
        )}
        {found.data && items.length === 0 && <p class="muted">None was found in it; bring one of your own.</p>}
        {problem && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <div class="row dialog-actions">
          <input
            id={fileId}
            class="visually-hidden file-behind"
            type="file"
            accept="image/jpeg,image/png,image/webp"
            disabled={isBusy}
            data-testid="own-picture"
            onChange={(event) => {
              const file = event.currentTarget.files?.[0];
              if (file) void choose(async () => ({ picture: await readPicture(file) }));
              event.currentTarget.value = "";
            }}
          />
          <label class="button" for={fileId}>
            {isBusy ? "Saving…" : "Upload your own"}
          </label>
        </div>
      </div>
    </Dialog>
  );
}
