/** The live picture, by WebRTC or HLS, with what to say while there is none, and its controls. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Icon } from "../kit/icons";
import { socket } from "../kit/realtime";
import { getAccessToken } from "../kit/session";
import { Bars } from "../kit/states";
import { Store, useStore } from "../kit/store";
import { TestCard } from "../kit/test_card";
import { AirClock } from "./air_clock";
import { Countdown } from "./countdown";
import { LiveControls } from "./live_controls";
import { LivePlayer, type PlayerState } from "./live_player";
import type { JoinAnswer, LiveStatus } from "./shapes";
import { useWatchReports } from "./watch_reports";
import "./live_video.css";

interface LiveVideoProps {
  liveId: string;
  whep: string;
  status: LiveStatus;
  title: string;
  /** When it is to begin, while it has not. */
  scheduledAt: string | null;
  /** When it began, as far as the page knows. */
  startedAt: string | null;
  /** The video it became. */
  recordingId: string | null;
}

const AT_REST = new Store<PlayerState>({
  way: "webrtc",
  phase: "waiting",
  error: null,
  isPaused: false,
  lengthS: 0,
  behindS: 0,
  latencyS: null,
  needsSound: false,
  canGoBack: true,
});

export function LiveVideo(props: LiveVideoProps) {
  const { status, title, scheduledAt, recordingId } = props;
  const root = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const [isMuted, setMuted] = useState(false);
  const { player, state, again } = usePlayer(video, props);
  useWatchReports(props.liveId, video, player, status === "live");
  const isShown = state.phase === "playing" && status !== "ended";
  // Also while HLS is fetched for who seeks back: the control that has the focus keeps it.
  const isSeeking = state.behindS > 0 && state.phase === "connecting" && status !== "ended";
  return (
    <div
      ref={root}
      class="live-video"
      data-state={status === "ended" ? "ended" : state.phase}
      data-way={state.way}
    >
      <video
        ref={video}
        data-testid="live-video"
        playsInline
        tabIndex={0}
        aria-label={`Live: ${title}`}
        class={isShown ? "" : "dimmed"}
        onVolumeChange={(event) => setMuted(event.currentTarget.muted)}
        onResize={() => void player?.layers.look()}
      />
      <Cover
        status={status}
        scheduledAt={scheduledAt}
        phase={state.phase}
        isBehind={state.behindS > 0}
        problem={state.error?.message ?? null}
        recordingId={recordingId}
        onRetry={again}
      />
      {(isShown || isSeeking) && player && (
        <LiveControls root={root} video={video} player={player} state={state} isMuted={isMuted} />
      )}
    </div>
  );
}

interface Playing {
  player: LivePlayer | null;
  state: PlayerState;
  again: () => void;
}

function usePlayer(video: { current: HTMLVideoElement | null }, props: LiveVideoProps): Playing {
  const { liveId, whep, status, startedAt } = props;
  const [player, setPlayer] = useState<LivePlayer | null>(null);
  const [round, setRound] = useState(0);
  const [air] = useState(() => new AirClock());
  air.note(status, startedAt, Date.now());
  const state = useStore(player?.state ?? AT_REST);
  useEffect(() => {
    if (!video.current) return undefined;
    const next = new LivePlayer({
      video: video.current,
      whep,
      token: getAccessToken,
      hls: async (avoid) =>
        (await api.post<JoinAnswer>(`/live/${liveId}/join`, undefined, { query: { avoid } })).playback.hls,
      elapsedS: () => air.elapsedS(Date.now()),
      isSeen: () => !document.hidden,
    });
    setPlayer(next);
    next.setLive(status === "live");
    void next.start();
    const unfollow = socket.state.subscribe(() => socket.state.get() === "waiting" && next.doubt());
    return () => {
      unfollow();
      next.stop();
    };
  }, [liveId, whep, round]);
  useEffect(() => {
    if (status === "ended") player?.stop();
    else player?.setLive(status === "live");
  }, [player, status]);
  return { player, state, again: () => setRound(round + 1) };
}

interface CoverProps {
  status: LiveStatus;
  scheduledAt: string | null;
  phase: PlayerState["phase"];
  /** Somebody seeks back: what is over plays on while nobody sends. */
  isBehind: boolean;
  problem: string | null;
  recordingId: string | null;
  onRetry: () => void;
}

function Cover({ status, scheduledAt, phase, isBehind, problem, recordingId, onRetry }: CoverProps) {
  if (status === "ended") return <Ended recordingId={recordingId} />;
  const isToCome = status === "created" || status === "scheduled";
  if (isToCome && scheduledAt !== null) {
    return (
      <div class="live-cover to-come">
        <Countdown at={scheduledAt} />
      </div>
    );
  }
  if (isToCome)
    return <Card label="Standby" text="It has not started yet. Stay, it begins here by itself." />;
  if (phase === "failed") {
    return (
      <div class="live-cover" role="alert" data-testid="error-state">
        <p>{problem ?? "The live picture cannot be shown."}</p>
        <button type="button" class="button" onClick={onRetry}>
          <Icon name="retry" size={18} /> Try again
        </button>
      </div>
    );
  }
  if ((status === "interrupted" && !isBehind) || phase === "reconnecting") {
    return <Wait text="The picture was lost for a moment. It comes back by itself." />;
  }
  if (phase !== "playing") return <Wait text="Tuning in…" />;
  return null;
}

function Ended({ recordingId }: { recordingId: string | null }) {
  if (recordingId === null) return <Card label="Off air" text="This broadcast has ended." />;
  return (
    <div class="live-cover" role="status">
      <p>This broadcast has ended.</p>
      <a class="button" data-testid="watch-recording" href={`/watch/${recordingId}`}>
        <Icon name="play" size={18} /> Watch the recording
      </a>
    </div>
  );
}

function Wait({ text }: { text: string }) {
  return (
    <div class="live-cover" role="status">
      <Bars class="player-wait" />
      <p>{text}</p>
    </div>
  );
}

function Card({ label, text }: { label: string; text: string }) {
  return (
    <div class="live-cover card-cover" role="status">
      <TestCard label={label} />
      <p class="visually-hidden">{text}</p>
    </div>
  );
}
