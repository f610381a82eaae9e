/** Fetches a video's file; there is none of one that is protected, or not ready. */
import { useState } from "preact/hooks";
import { Icon } from "../kit/icons";
import { showError } from "../kit/toasts";
import { findDownload } from "./download";
import type { Video } from "./shapes";

export function DownloadButton({ video }: { video: Video }) {
  const [isBusy, setBusy] = useState(false);
  const address = video.playback?.download;
  if (!address) return null;
  const fetchFile = async () => {
    if (isBusy) return;
    setBusy(true);
    try {
      location.assign(await findDownload(video.id));
    } catch (error) {
      showError(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <a
      class="button small"
      href={address}
      data-testid="download"
      aria-busy={isBusy}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return; // elsewhere, as is wanted
        event.preventDefault();
        void fetchFile();
      }}
    >
      <Icon name="download" size={18} /> <span class="wide-label">Download</span>
    </a>
  );
}
