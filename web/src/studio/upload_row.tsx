/** An upload under way: how far, pause, go on, or what stopped it. */
import { useState } from "preact/hooks";
import { Confirm } from "../kit/dialog";
import { Icon } from "../kit/icons";
import { showError } from "../kit/toasts";
import { formatBytes } from "../kit/words";
import { VideoFrame } from "../videos/frame";
import { ProgressBar } from "../videos/progress";
import { describeHeadStart, useHeadStart } from "./head_start";
import { describeRest } from "./upload_pace";
import { dropUpload, mayBeginAhead, pauseUpload, resumeUpload, type UploadItem, type UploadState } from "./uploads";

const WORDS: Record<UploadState, string> = {
  waiting: "Waiting",
  starting: "Starting",
  sending: "Uploading",
  paused: "Paused",
  failed: "Stopped",
  done: "Uploaded",
};

interface UploadRowProps {
  item: UploadItem;
  /** It was given up. */
  onGone: () => void;
}

export function UploadRow({ item, onGone }: UploadRowProps) {
  const [isAsking, setAsking] = useState(false);
  const share = item.sizeBytes > 0 ? item.sentBytes / item.sizeBytes : 0;
  const ahead = describeHeadStart(useHeadStart(mayBeginAhead(item) ? item.videoId : null));
  const canPause = item.state === "sending" || item.state === "starting";
  const canResume = item.state === "paused" || item.state === "failed";
  const drop = () => {
    dropUpload(item.videoId).then(onGone, showError);
  };
  return (
    <li class="studio-row" data-testid="upload-row" data-state={item.state}>
      <VideoFrame thumbnail={null} />
      <div class="stack">
        <h3>{item.title}</h3>
        <div class="row tight">
          <span class={item.state === "failed" ? "chip failed" : "chip busy"}>{WORDS[item.state]}</span>
          <span class="data muted">
            {formatBytes(item.sentBytes)} of {formatBytes(item.sizeBytes)}
            {item.speedBps !== null && ` / ${describeRest(item.sizeBytes - item.sentBytes, item.speedBps)}`}
          </span>
        </div>
        <ProgressBar share={share} label={`Upload of ${item.title}`} testId="upload-progress" />
        {ahead && (
          <p class="data muted" data-testid="upload-ahead">
            {ahead}
          </p>
        )}
        {item.error && (
          <p class="problem" role="alert">
            {item.error}
          </p>
        )}
      </div>
      <div class="row tight upload-buttons">
        {canPause && (
          <button
            type="button"
            class="button small"
            data-testid="upload-pause"
            onClick={() => pauseUpload(item.videoId)}
          >
            Pause
          </button>
        )}
        {canResume && (
          <button
            type="button"
            class="button small"
            data-testid="upload-resume"
            onClick={() => resumeUpload(item.videoId).catch(showError)}
          >
            {item.state === "failed" ? "Try again" : "Resume"}
          </button>
        )}
        {(canResume || item.state === "waiting") && (
          <button
            type="button"
            class="icon-button"
            aria-label={`Give up ${item.title}`}
            data-testid="upload-drop"
            onClick={() => (item.state === "waiting" ? drop() : setAsking(true))}
          >
            <Icon name="close" size={20} />
          </button>
        )}
      </div>
      {isAsking && (
        <Confirm
          title={`Give up “${item.title}”?`}
          text="What has arrived of it is removed."
          action="Give up"
          onConfirm={drop}
          onClose={() => setAsking(false)}
        />
      )}
    </li>
  );
}
