/** Keeps the last half minute of a live as a video of one's own, and leads to it. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { Icon } from "../kit/icons";
import { showError, showToast } from "../kit/toasts";

const CLIP_S = 30;

export function ClipButton({ liveId }: { liveId: string }) {
  const [isBusy, setBusy] = useState(false);
  const [videoId, setVideoId] = useState<string | null>(null);
  const clip = async () => {
    setBusy(true);
    try {
      const made = await api.post<{ video_id: string }>(`/live/${liveId}/clips`, { seconds: CLIP_S });
      setVideoId(made.video_id);
      showToast("The last half minute is a video of yours now.");
    } catch (error) {
      showError(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      {videoId && (
        <a class="button small" href={`/watch/${videoId}`} target="_blank" data-testid="watch-clip">
          <Icon name="play" size={18} /> Watch it
        </a>
      )}
      <button type="button" class="button small" data-testid="clip" disabled={isBusy} onClick={() => void clip()}>
        <Icon name="clip" size={18} /> <span class="wide-label">Clip 30 s</span>
      </button>
    </>
  );
}
