/** A video as a still: thumbnail or test bars, its length, corner marks of a viewfinder. Decorative; a link around it is named by the title. */
import { useState } from "preact/hooks";
import { Bars } from "../kit/states";
import { formatLength } from "../kit/words";
import { useLasting } from "./renewal";
import "./frame.css";

interface FrameProps {
  thumbnail: string | null | undefined;
  durationMs?: number | null | undefined;
  /** How much of it was watched, 0 to 1. */
  watched?: number | undefined;
  /** What plays in a loop over the still, while it does. */
  preview?: string | null;
  /** Portrait sources stay whole between dark edges. */
  eager?: boolean;
}

export function VideoFrame({ thumbnail, durationMs, watched, preview, eager = false }: FrameProps) {
  const still = useLasting(thumbnail);
  const moving = useLasting(preview);
  return (
    <span class="frame">
      {still.address ? (
        <img
          src={still.address}
          alt=""
          loading={eager ? "eager" : "lazy"}
          decoding="async"
          onError={still.onFail}
        />
      ) : (
        <span class="frame-blank">
          <Bars />
        </span>
      )}
      {moving.address && <Moving key={moving.address} source={moving.address} onFail={moving.onFail} />}
      <span class="frame-marks" />
      {durationMs ? <span class="frame-time data">{formatLength(durationMs / 1000)}</span> : null}
      {watched !== undefined && <span class="frame-watched" style={{ "--share": `${watched * 100}%` }} />}
    </span>
  );
}

/** The still stays below until the first picture is there. */
function Moving({ source, onFail }: { source: string; onFail: () => void }) {
  const [isPlaying, setPlaying] = useState(false);
  return (
    <video
      class={isPlaying ? "frame-moving playing" : "frame-moving"}
      src={source}
      autoplay
      loop
      muted
      playsInline
      disablePictureInPicture
      tabIndex={-1}
      aria-hidden="true"
      data-testid="preview"
      onPlaying={() => setPlaying(true)}
      onError={onFail}
    />
  );
}
