/** Who can watch a video, unless it is everybody; of one that waits for its time, when that changes. */
import { formatMoment } from "../live/schedule";
import { nameAudience, type Video } from "./shapes";

/** Until when others may watch it. */
export function SeenUntil({ video }: { video: Pick<Video, "withdrawal"> }) {
  if (!video.withdrawal) return null;
  const { at } = video.withdrawal;
  return (
    <span class="chip" data-testid="seen-until">
      Until <time dateTime={at}>{formatMoment(at)}</time>
    </span>
  );
}

export function SeenBy({ video }: { video: Pick<Video, "visibility" | "publication"> }) {
  if (video.publication) {
    const { at, visibility } = video.publication;
    return (
      <span class="chip" data-testid="scheduled">
        Scheduled <time dateTime={at}>{formatMoment(at)}</time>
        {visibility === "public" ? "" : `, ${nameAudience(visibility)}`}
      </span>
    );
  }
  return video.visibility === "public" ? null : <span class="chip">{nameAudience(video.visibility)}</span>;
}
