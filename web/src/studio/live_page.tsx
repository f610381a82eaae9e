/** The control room: camera, title, Go live and End, key for OBS, viewers, numbers, chat alongside. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../kit/api";
import { ApiError } from "../kit/errors";
import { useLoad } from "../kit/load";
import { useChannel } from "../kit/realtime";
import { navigate, useTitle } from "../kit/router";
import { Failure, Skeleton } from "../kit/states";
import type { PageProps } from "../shell/routes";
import { ControlRoom } from "./control_room";
import { leaveAir, onAir } from "./on_air";
import { loadRoom, type Room } from "./rooms";
import "./live_page.css";

export default function StudioLivePage({ search }: PageProps) {
  useTitle("Go live");
  const id = search.get("live") ?? onAir.get()?.liveId ?? null;
  const [created, setCreated] = useState<Room | null>(null);
  const [gone, setGone] = useState<string | null>(null);
  const mustLoad = id !== null && created?.live.id !== id;
  const loaded = useLoad<Room>(mustLoad ? id : null, (signal) => loadRoom(id ?? "", signal));
  const room = created?.live.id === id ? created : loaded.data;
  useEffect(() => {
    if (id === null) setCreated(null);
  }, [id]);
  useAbsence(id === null || gone === id ? null : room, setGone);
  if (id !== null && gone === id) return <Gone />;
  if (mustLoad && loaded.error !== null) {
    return (
      <div class="page narrow">
        <Failure level={1} title="The broadcast did not load" error={loaded.error} onRetry={loaded.reload} />
        <div class="row">
          <a class="button" href="/studio/live">
            Start a new one
          </a>
        </div>
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

/** The edge lets an owner go only of what is not there any more; the API is asked whether that is so. */
function useAbsence(room: Room | null, onGone: (id: string) => void): void {
  const id = room?.live.id ?? "";
  const look = async () => {
    try {
      await api.get(`/live/${id}`);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) return;
      onGone(id);
      if (onAir.get()?.liveId === id) leaveAir();
    }
  };
  useChannel(room && `room:${id}`, { onEvent: () => undefined, onRefused: () => void look() }, room?.socketUrl ?? null);
}

function Gone() {
  return (
    <div class="page narrow">
      <Failure
        level={1}
        title="This broadcast is no longer here"
        error={new ApiError("not_found", 404, "A moderator took it down, or you deleted it on another page.")}
      />
      <div class="row">
        <a class="button" href="/studio/live">
          Start a new one
        </a>
      </div>
    </div>
  );
}
