/** Watching a live: the picture, who is on air, and the room's chat beside it. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Avatar, nameOf } from "../kit/avatar";
import { ApiError } from "../kit/errors";
import { Icon } from "../kit/icons";
import { useLoad } from "../kit/load";
import { useTitle } from "../kit/router";
import { currentUser } from "../kit/session";
import { shareAddress } from "../kit/share";
import { Failure, Skeleton } from "../kit/states";
import { useStore } from "../kit/store";
import { FollowButton } from "../profile/follow_button";
import { useChannel } from "../kit/realtime";
import type { PageProps } from "../shell/routes";
import { Gate } from "../subscriptions/gate";
import { findGate } from "../subscriptions/shapes";
import { SeenBy } from "../videos/seen_by";
import { findAbsence, TAKEN_DOWN } from "./absence";
import { Chat } from "./chat";
import { useRoomChat } from "./chat_lines";
import { Desk } from "./desk";
import { LiveVideo } from "./live_video";
import { RaidPrompt } from "./raid_prompt";
import { useRecording } from "./recording";
import { decideRank, isRaidFresh } from "./room_rules";
import { useRoomState, type RoomState } from "./room_state";
import { ClipButton } from "./clip_button";
import { isOnAir, type JoinAnswer, type Live } from "./shapes";
import { mayTakeDown } from "./takedown";
import { TakedownButton } from "./takedown_button";
import { StatusTally, ViewerCount } from "./tally";
import "./watch_page.css";

interface Joined {
  live: Live;
  join: JoinAnswer;
}

export default function LiveWatchPage({ parameters }: PageProps) {
  const id = parameters["id"] ?? "";
  const joined = useLoad<Joined>(id, async (signal) => {
    const [live, join] = await Promise.all([
      api.get<Live>(`/live/${id}`, { signal }),
      api.post<JoinAnswer>(`/live/${id}/join`),
    ]);
    return { live, join };
  });
  const [takenDown, setTakenDown] = useState<string | null>(null);
  // Whoever may not see it any more is let go by the edge, and hears why from the API.
  const gate = findGate(joined.error);
  const absence = takenDown === id ? TAKEN_DOWN : findAbsence(joined.error, joined.data !== null);
  const shown = gate || absence ? null : joined.data;
  useTitle(shown ? `${shown.live.title}, live` : null);
  useChannel(shown && `room:${id}`, { onEvent: () => undefined, onRefused: joined.reload }, shown?.join.chat.socket ?? null);
  if (gate) {
    return (
      <div class="page narrow">
        <Gate owner={gate} what="This broadcast" onRetry={joined.reload} />
      </div>
    );
  }
  if (absence) {
    return (
      <div class="page narrow">
        <Failure level={1} title={absence.title} error={new ApiError("not_found", 404, absence.text)} />
      </div>
    );
  }
  if (joined.error !== null && joined.data === null) {
    return (
      <div class="page narrow">
        <Failure level={1} title="The broadcast did not load" error={joined.error} onRetry={joined.reload} />
      </div>
    );
  }
  if (!joined.data) {
    return (
      <div class="page on-air">
        <Skeleton shape="post" />
      </div>
    );
  }
  return <OnAir joined={joined.data} onTakenDown={() => setTakenDown(id)} />;
}

/** Whether a calendar, which nobody logs in to, may have it. */
function isOpen(live: Live): boolean {
  return live.visibility === "public" || live.visibility === "unlisted";
}

const LOOK_AGAIN_MS = 60_000;

/** The time may be changed while we wait for it. */
function useScheduledAt(live: Live, isWaiting: boolean): string | null {
  const [at, setAt] = useState(live.scheduled_at);
  useEffect(() => {
    if (!isWaiting) return undefined;
    const look = () =>
      api.get<Live>(`/live/${live.id}`).then(
        (known) => setAt(known.scheduled_at),
        () => undefined, // the next minute asks again
      );
    const timer = setInterval(() => void look(), LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [live.id, isWaiting]);
  return at;
}

function OnAir({ joined: { live, join }, onTakenDown }: { joined: Joined; onTakenDown: () => void }) {
  const first = useMemo<RoomState>(() => ({ status: live.status, viewers: live.viewers ?? 0, ways: null }), [live]);
  const room = useRoomState(live.id, { first, socketUrl: join.chat.socket });
  const me = useStore(currentUser);
  const chat = useRoomChat(live.id, me, join.chat.socket);
  const rank = decideRank(me, live.owner.id, chat.rules.moderators);
  const isHost = me?.id === live.owner.id;
  const [isModerating, setModerating] = useState(false);
  const { raid } = chat.rules;
  const scheduledAt = useScheduledAt(live, room.status === "scheduled");
  const { recording_id: recordingId } = useRecording(live, room.status === "ended");
  return (
    <div class="page on-air">
      <div class="on-air-picture">
        <LiveVideo
          liveId={live.id}
          whep={join.playback.whep}
          status={room.status}
          title={live.title}
          scheduledAt={scheduledAt}
          startedAt={live.started_at}
          recordingId={recordingId}
        />
      </div>
      <div class="on-air-words stack">
        <div class="row tight">
          <StatusTally status={room.status} announce />
          {room.status !== "ended" && <ViewerCount viewers={room.viewers} />}
          <SeenBy video={live} />
        </div>
        <h1>{live.title}</h1>
        <div class="row spread">
          <div class="row tight">
            <a class="row tight plain" href={`/u/${live.owner.username}`}>
              <Avatar user={live.owner} size={44} />
              <strong>{nameOf(live.owner)}</strong>
            </a>
            {isHost ? (
              <a class="button small" href={`/studio/live?live=${live.id}`}>
                Open in the studio
              </a>
            ) : (
              <FollowButton username={live.owner.username} />
            )}
          </div>
          <div class="row tight">
            {mayTakeDown(me, live.owner.id) && (
              <TakedownButton live={{ ...live, status: room.status }} onDone={onTakenDown} />
            )}
            {rank !== "guest" && !isHost && room.status !== "ended" && (
              <button
                type="button"
                class="button small"
                aria-expanded={isModerating}
                data-testid="moderate"
                onClick={() => setModerating(!isModerating)}
              >
                <Icon name="shield" size={18} /> Moderate
              </button>
            )}
            {me && isOnAir(room) && <ClipButton liveId={live.id} />}
            {room.status === "scheduled" && isOpen(live) && (
              <a class="button small" href={`/v1/live/${live.id}/calendar.ics`} download="live.ics" data-testid="add-to-calendar">
                <Icon name="clock" size={18} /> Add to calendar
              </a>
            )}
            <button type="button" class="button small" onClick={() => shareAddress(live.title)}>
              <Icon name="share" size={18} /> <span class="wide-label">Share</span>
            </button>
          </div>
        </div>
        {isModerating && rank !== "guest" && room.status !== "ended" && (
          <Desk roomId={live.id} rank={rank} rules={chat.rules} socketUrl={join.chat.socket} />
        )}
      </div>
      <div class="on-air-chat">
        <Chat
          roomId={live.id}
          owner={live.owner}
          chat={chat}
          socketUrl={join.chat.socket}
          isEnded={room.status === "ended"}
        />
      </div>
      {raid && !isHost && isRaidFresh(raid, Date.now()) && (
        <RaidPrompt key={raid.at} raid={raid} onAnswer={() => chat.dismiss("raid")} />
      )}
    </div>
  );
}
