/** The parts of the control room and how they act together. The page above loads the room; `on_air.ts` keeps the broadcast. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Confirm } from "../kit/dialog";
import { ApiError } from "../kit/errors";
import { currentUser } from "../kit/session";
import { Store, useStore } from "../kit/store";
import { showError } from "../kit/toasts";
import { WhipPublisher, type PublishState } from "../kit/whip";
import { Chat } from "../live/chat";
import { useRoomChat } from "../live/chat_lines";
import { Desk } from "../live/desk";
import { useRoomState, type RoomState } from "../live/room_state";
import type { LiveStatus } from "../live/shapes";
import { Upcoming } from "../live/upcoming";
import { BroadcastStats } from "./broadcast_stats";
import { resizeCamera, useCamera, useGrantedCamera, type Camera, type Source } from "./camera";
import { EndedPanel, GoLivePanel, type BroadcastActions, type Draft } from "./go_live_panel";
import { HealthPanel } from "./health_panel";
import type { HlsOff } from "./kept_words";
import { leaveAir, onAir, type OnAir } from "./on_air";
import { DeviceChoice, Preview } from "./preview";
import { sendsSeveral } from "./qualities";
import { createRoom, makeStreamKey, type Room, type StreamKey } from "./rooms";
import { decideAsked, decideLargest, sentPicture, type SentPicture } from "./sent_picture";
import { StreamKeyPanel } from "./stream_key";
import { forgetStreamKey } from "./stream_keys";

interface ControlRoomProps {
  room: Room | null;
  onCreated: (room: Room) => void;
}

const NOTHING_SENT = new Store<PublishState>({ phase: "idle", error: null });
const NO_ROOM: RoomState = { status: "created", viewers: 0, ways: null };

export function ControlRoom({ room, onCreated }: ControlRoomProps) {
  const me = useStore(currentUser);
  const present = useStore(onAir);
  const mine = present !== null && present.liveId === room?.live.id ? present : null;
  const sent = useStore(mine?.publisher.state ?? NOTHING_SENT);
  const camera = useStudioCamera(present);
  const [key, setKey] = useState(room?.key ?? null);
  useEffect(() => setKey(room?.key ?? null), [room]);
  const first = room ? { status: room.live.status, viewers: room.live.viewers ?? 0, ways: null } : null;
  const heard = useRoomState(room?.live.id ?? "", {
    first,
    socketUrl: room?.socketUrl ?? null,
    onStatus: (status) => followStatus(status, room?.live.id ?? ""),
  });
  const state = room ? heard : NO_ROOM;
  const actions = useBroadcast({ room, camera, key, onCreated, onKey: setKey });
  const followKey = (next: StreamKey) => {
    setKey(next);
    if (!mine || !room) return;
    if (next.text !== null) return publish(room, mine, next.text);
    leaveAir();
    camera.close();
  };
  const chat = useRoomChat(room?.live.id ?? null, me, room?.socketUrl ?? null);
  const [isEnding, setEnding] = useState(false);
  const isEnded = state.status === "ended";
  const isOnAir = state.status === "live" || state.status === "interrupted";
  const [lastOff, setLastOff] = useState<HlsOff | null>(null);
  return (
    <div class="page control-room">
      <h1 class="visually-hidden">{room ? `Control room: ${room.live.title}` : "Go live"}</h1>
      <div class="stack control-main">
        <Preview camera={camera} lamp={decideLamp(state.status, mine !== null && sent.phase !== "failed")} />
        {isEnded && room ? (
          <EndedPanel live={room.live} lastOff={lastOff} />
        ) : (
          <>
            <GoLivePanel
              room={room}
              state={state}
              present={mine}
              actions={actions}
              onEnd={() => setEnding(true)}
              onChange={(live) => {
                if (mine) onAir.set({ ...mine, title: live.title });
                if (room) onCreated({ ...room, live, key: key ?? room.key });
              }}
            />
            <DeviceChoice camera={camera} onPicture={() => void followPicture(camera)} />
            {mine && <BroadcastStats publisher={mine.publisher} />}
            {room && isOnAir && <HealthPanel liveId={room.live.id} onRecording={setLastOff} />}
            {room && <Desk roomId={room.live.id} rank="owner" rules={chat.rules} socketUrl={room.socketUrl} />}
          </>
        )}
      </div>
      <div class="stack control-side">
        {room && (
          <Chat
            roomId={room.live.id}
            owner={room.live.owner}
            chat={chat}
            socketUrl={room.socketUrl}
            isEnded={isEnded}
          />
        )}
        {room && !isEnded && (
          <StreamKeyPanel
            liveId={room.live.id}
            ingest={room.ingest}
            streamKey={key ?? room.key}
            onChange={followKey}
          />
        )}
        {!room && <HowItWorks />}
        {!room && me && (
          <Upcoming
            title="Your scheduled lives"
            owner={me.username}
            empty="None. Give one a title, then set its time."
            address={(live) => `/studio/live?live=${live.id}`}
          />
        )}
      </div>
      {isEnding && room && (
        <Confirm
          title="End this broadcast?"
          text="Everyone watching is told that it is over. It cannot be started again."
          action="End broadcast"
          onConfirm={() => actions.end(room)}
          onClose={() => setEnding(false)}
        />
      )}
    </div>
  );
}

function decideLamp(status: LiveStatus, isSending: boolean): "standby" | "live" | "lost" | "ended" {
  if (status === "ended") return "ended";
  if (!isSending) return "standby";
  return status === "interrupted" ? "lost" : "live";
}

function followStatus(status: LiveStatus, liveId: string): void {
  const present = onAir.get();
  if (present?.liveId !== liveId) return;
  if (status === "interrupted") void present.publisher.hurry();
  if (status === "ended") leaveAir();
}

/** The camera of this page; a broadcast that is already running brings its own picture along. */
function useStudioCamera(present: OnAir | null): Camera {
  const camera = useCamera({
    running: present,
    readPicture: readAsked,
    onReplaced: (source) => {
      const running = onAir.get();
      if (!running) return;
      for (const track of source.stream.getTracks()) void running.publisher.replaceTrack(track).catch(() => undefined);
      void running.publisher.resize(decideLargest(sentPicture.get(), source.isScreen));
      onAir.set({ ...running, ...source });
    },
  });
  useGrantedCamera(camera.open, present !== null);
  useEffect(() => {
    // A broadcast that is over took its picture with it.
    const tracks = present === null ? (camera.source?.stream.getTracks() ?? []) : [];
    if (tracks.length > 0 && tracks.every((track) => track.readyState === "ended")) camera.close();
  }, [present === null]);
  useEffect(
    () => () => {
      if (onAir.get() === null) camera.close();
    },
    [],
  );
  return camera;
}

/** What to ask the camera for: as much as is chosen, and as the running broadcast needs. */
function readAsked(): SentPicture {
  return decideAsked(sentPicture.get(), onAir.get()?.publisher.linesMin ?? 0);
}

/** The other picture was chosen: the camera and a running broadcast take it as they are. */
async function followPicture({ source }: Camera): Promise<void> {
  if (source && !source.isScreen) await resizeCamera(source.stream, readAsked());
  const running = onAir.get();
  await running?.publisher.resize(decideLargest(sentPicture.get(), running.isScreen));
}

interface BroadcastParts {
  room: Room | null;
  camera: Camera;
  key: StreamKey | null;
  onCreated: (room: Room) => void;
  onKey: (key: StreamKey) => void;
}

/** Sends the stream to the room, in place of what was sent until now. */
function publish({ live, ingest }: Room, source: Source, streamKey: string): void {
  const publisher = new WhipPublisher({
    url: ingest.whip,
    streamKey,
    stream: source.stream,
    largest: decideLargest(sentPicture.get(), source.isScreen),
    sendsSeveral: sendsSeveral.get(),
  });
  onAir.get()?.publisher.stop();
  onAir.set({ ...source, liveId: live.id, title: live.title, publisher });
  void publisher.start();
}

function useBroadcast({ room, camera, key: known, onCreated, onKey }: BroadcastParts): BroadcastActions {
  const prepare = async (draft: Draft, at: string | null) =>
    onCreated(await createRoom(draft, at));
  const goLive = async (draft: Draft) => {
    const source = camera.source ?? (await camera.open());
    if (!source) throw new ApiError("no_camera", 0, "Going live needs a picture. Turn the camera on first.");
    const target = room ?? (await createRoom(draft));
    const told = room ? known : target.key;
    const key = told?.text ? told : await makeStreamKey(target.live.id);
    onKey(key);
    publish(target, source, key.text ?? "");
    if (!room) onCreated({ ...target, key });
  };
  const end = async (ending: Room) => {
    try {
      await api.post(`/live/${ending.live.id}/end`);
      leaveAir();
      camera.close();
      forgetStreamKey(ending.live.id);
    } catch (error) {
      showError(error);
    }
  };
  return { goLive, prepare, end };
}

function HowItWorks() {
  return (
    <section class="card key-panel">
      <h2>How it goes</h2>
      <ol class="steps muted">
        <li>Give it a title. Whoever follows you sees it on air.</li>
        <li>Go live from this camera, or prepare it and send from OBS with a stream key.</li>
        <li>The chat opens here, next to your picture.</li>
      </ol>
    </section>
  );
}
