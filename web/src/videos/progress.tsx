/** A video that cannot be watched yet, or never: how far it is, or what went wrong. */
import { Bars } from "../kit/states";
import { describePace, describeStatus, type Video } from "./shapes";
import "./progress.css";

export function ProgressBar({ share, label, testId }: { share: number; label: string; testId?: string }) {
  const percent = Math.round(Math.min(1, Math.max(0, share)) * 100);
  return (
    <div
      class="progress"
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
      data-testid={testId}
    >
      <i style={{ transform: `scaleX(${percent / 100})` }} />
    </div>
  );
}

/** Below a player whose video is still being made. */
export function MoreToCome({ video }: { video: Video }) {
  return (
    <div class="more-to-come" data-testid="more-to-come">
      <p role="status">
        {video.is_recording
          ? "Pictures for scrubbing and a file to download are being made."
          : "More qualities are coming. The first one plays already."}
      </p>
      <ProgressBar share={video.progress} label="Processing" />
      <p class="data muted">{describePace(video)}</p>
    </div>
  );
}

export function ProgressPanel({ video }: { video: Video }) {
  if (video.status === "failed") {
    return (
      <div class="progress-panel" role="alert" data-testid="error-state">
        <Bars class="notice-bars" />
        <p class="progress-title">This video could not be processed</p>
        <p data-testid="video-status">{video.error?.message ?? "The file could not be read."}</p>
      </div>
    );
  }
  return (
    <div class="progress-panel">
      <Bars class="notice-bars" />
      <p class="progress-title" role="status" data-testid="video-status">
        {describeStatus(video)}
      </p>
      <p>It starts to play here as soon as the first quality is ready.</p>
      <ProgressBar share={video.progress} label="Processing" />
    </div>
  );
}
