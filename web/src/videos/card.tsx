/** A video in a grid or a side list: still, title, owner, when. */
import { Avatar, nameOf } from "../kit/avatar";
import { Ago } from "../kit/prose";
import { VideoFrame } from "./frame";
import { listedAt } from "./publication";
import { usePreview } from "./preview";
import { SeenBy } from "./seen_by";
import type { Video } from "./shapes";
import "./card.css";

interface VideoCardProps {
  video: Video;
  compact?: boolean;
  /** How much of it was watched, 0 to 1. */
  watched?: number;
  /** The playlist that goes on playing behind it. */
  list?: string;
}

export function VideoCard({ video, compact = false, watched, list }: VideoCardProps) {
  const href = `/watch/${video.id}${list ? `?list=${list}` : ""}`;
  const { shown, handlers } = usePreview(video.playback?.preview);
  return (
    <article class={compact ? "video-card compact" : "video-card"} data-testid="video-card" {...handlers}>
      <a href={href} tabIndex={-1} aria-hidden="true">
        <VideoFrame thumbnail={video.playback?.thumbnail} durationMs={video.duration_ms} watched={watched} preview={shown} />
      </a>
      <div class="video-card-words">
        {!compact && <Avatar user={video.owner} size={36} />}
        <div class="grow">
          <h3 class="video-card-title">
            <a class="plain" href={href}>
              {video.title}
            </a>
          </h3>
          <p class="video-card-meta data muted">
            <a class="plain" href={`/u/${video.owner.username}`}>
              {nameOf(video.owner)}
            </a>
            <span aria-hidden="true"> / </span>
            {video.publication ? <SeenBy video={video} /> : <Ago at={listedAt(video)} />}
            {video.visibility === "subscribers" && <SeenBy video={video} />}
          </p>
        </div>
      </div>
    </article>
  );
}
