/** The player alone, in a frame of another site. */
import { useCallback } from "preact/hooks";
import { api } from "../kit/api";
import { useLoad } from "../kit/load";
import { useTitle } from "../kit/router";
import { Failure } from "../kit/states";
import { Player } from "../player/player";
import type { PageProps } from "../shell/routes";
import { Gate } from "../subscriptions/gate";
import { findGate } from "../subscriptions/shapes";
import { readStart } from "./links";
import { ProgressPanel } from "./progress";
import { isPlayable, type Video } from "./shapes";
import { tellWatching } from "./watching";
import "./embed_page.css";

export default function EmbedPage({ parameters, search }: PageProps) {
  const id = parameters["video"] ?? "";
  const video = useLoad<Video>(id, (signal) => api.get<Video>(`/videos/${id}`, { signal }));
  const renew = useCallback(async () => (await api.get<Video>(`/videos/${id}`)).playback?.hls ?? null, [id]);
  useTitle(video.data?.title ?? null);
  const gate = findGate(video.error);
  if (gate) return <Gate owner={gate} what="This video" beside={`/watch/${id}`} onRetry={video.reload} />;
  if (video.error !== null && !video.data) {
    // Another page of the site could not be shown in the frame.
    return <Failure level={1} title="This video is not here" error={video.error} onRetry={video.reload} />;
  }
  if (!video.data) return <div class="player" />;
  if (!isPlayable(video.data)) return <ProgressPanel video={video.data} />;
  return (
    <div class="embed">
      <h1 class="embed-title clip">
        <a class="plain" href={`/watch/${id}`} target="_blank" rel="noopener">
          {video.data.title}
        </a>
      </h1>
      <Player
        source={video.data.playback?.hls ?? ""}
        title={video.data.title}
        poster={video.data.playback?.thumbnail}
        storyboard={video.data.playback?.storyboard}
        chapters={video.data.chapters}
        startS={readStart(search.get("t")) ?? 0}
        onSession={(report) => tellWatching(id, report, "embed")}
        renew={renew}
      />
    </div>
  );
}
