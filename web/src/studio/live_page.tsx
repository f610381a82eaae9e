/** The control room: camera, title, Go live and End, key for OBS, viewers, numbers, chat alongside. */
import { useEffect, useState } from "preact/hooks";
import { useLoad } from "../kit/load";
import { navigate, useTitle } from "../kit/router";
import { Failure, Skeleton } from "../kit/states";
import type { PageProps } from "../shell/routes";
import { ControlRoom } from "./control_room";
import { onAir } from "./on_air";
import { loadRoom, type Room } from "./rooms";
import "./live_page.css";

export default function StudioLivePage({ search }: PageProps) {
  useTitle("Go live");
  const id = search.get("live") ?? onAir.get()?.liveId ?? null;
  const [created, setCreated] = useState<Room | null>(null);
  const mustLoad = id !== null && created?.live.id !== id;
  const loaded = useLoad<Room>(mustLoad ? id : null, (signal) => loadRoom(id ?? "", signal));
  const room = created?.live.id === id ? created : loaded.data;
  useEffect(() => {
    if (id === null) setCreated(null);
  }, [id]);
  if (mustLoad && loaded.error !== null) {
    return (
      <div class="page narrow">
        <Failure level={1} title="The broadcast did not load" error={loaded.error} onRetry={loaded.reload} />
        <a class="button" href="/studio/live">
          Start a new one
        </a>
      </div>
    );
  }
  if (mustLoad && !room) {
    return (
      <div class="page">
        <h1 class="visually-hidden">Go live</h1>
        <Skeleton shape="post" />
      </div>
    );
  }
  return (
    <ControlRoom
      room={id === null ? null : room}
      onCreated={(next) => {
        setCreated(next);
        navigate(`/studio/live?live=${next.live.id}`, true);
      }}
    />
  );
}
