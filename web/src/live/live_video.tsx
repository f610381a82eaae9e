/** The live picture by WHEP, with what to say while there is none, sound and full screen. */
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../kit/icons";
import { getAccessToken } from "../kit/session";
import { Bars } from "../kit/states";
import { Store, useStore } from "../kit/store";
import { TestCard } from "../kit/test_card";
import { WhepViewer, type WatchState } from "../kit/whep";
import { Countdown } from "./countdown";
import type { LiveStatus } from "./shapes";
import "./live_video.css";

interface LiveVideoProps {
  whep: string;
  status: LiveStatus;
  title: string;
  /** When it is to begin, while it has not. */
  scheduledAt: string | null;
}

const AT_REST = new Store<WatchState>({ phase: "waiting", error: null });

export function LiveVideo({ whep, status, title, scheduledAt }: LiveVideoProps) {
  const root = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const [isMuted, setMuted] = useState(false);
  const { state, needsSound, again } = useViewer(video, whep, status);
  const { phase, error } = state;
  const isShown = phase === "playing" && status !== "ended";
  return (
    <div ref={root} class="live-video" data-state={status === "ended" ? "ended" : phase}>
      <video
        ref={video}
        data-testid="live-video"
        autoplay
        playsInline
        aria-label={`Live: ${title}`}
        class={isShown ? "" : "dimmed"}
        onVolumeChange={(event) => setMuted(event.currentTarget.muted)}
      />
      <Cover status={status} scheduledAt={scheduledAt} phase={phase} problem={error?.message ?? null} onRetry={again} />
      {isShown && <LiveControls root={root} video={video} isMuted={isMuted} asksForSound={needsSound && isMuted} />}
    </div>
  );
}

interface Viewing {
  state: WatchState;
  /** The browser played without sound because nobody has clicked yet. */
  needsSound: boolean;
  again: () => void;
}

function useViewer(video: { current: HTMLVideoElement | null }, whep: string, status: LiveStatus): Viewing {
  const [viewer, setViewer] = useState<WhepViewer | null>(null);
  const [round, setRound] = useState(0);
  const [needsSound, setNeedsSound] = useState(false);
  const state = useStore(viewer?.state ?? AT_REST);
  useEffect(() => {
    const next = new WhepViewer({
      url: whep,
      token: getAccessToken,
      onStream: (stream) => void show(video.current, stream).then(setNeedsSound),
    });
    setViewer(next);
    next.setLive(status === "live");
    void next.start();
    return () => next.stop();
  }, [whep, round]);
  useEffect(() => viewer?.setLive(status === "live"), [viewer, status]);
  return { state, needsSound, again: () => setRound(round + 1) };
}

interface LiveControlsProps {
  root: { current: HTMLDivElement | null };
  video: { current: HTMLVideoElement | null };
  isMuted: boolean;
  asksForSound: boolean;
}

function LiveControls({ root, video, isMuted, asksForSound }: LiveControlsProps) {
  const toggleSound = () => {
    if (video.current) video.current.muted = !video.current.muted;
  };
  const toggleFull = () => {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void root.current?.requestFullscreen().catch(() => undefined);
  };
  return (
    <div class="live-controls">
      {asksForSound ? (
        <button type="button" class="button small primary" onClick={toggleSound}>
          <Icon name="muted" size={18} /> Turn the sound on
        </button>
      ) : (
        <button type="button" class="icon-button" aria-label={isMuted ? "Sound on" : "Sound off"} onClick={toggleSound}>
          <Icon name={isMuted ? "muted" : "volume"} />
        </button>
      )}
      <span class="grow" />
      <button type="button" class="icon-button" aria-label="Full screen" onClick={toggleFull}>
        <Icon name="full" />
      </button>
    </div>
  );
}

/** Plays with sound; where the browser first wants a gesture, without. True when sound must be asked for. */
async function show(video: HTMLVideoElement | null, stream: MediaStream): Promise<boolean> {
  if (!video) return false;
  video.srcObject = stream;
  try {
    await video.play();
    return false;
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return false;
    video.muted = true;
    await video.play().catch(() => undefined);
    return true;
  }
}

interface CoverProps {
  status: LiveStatus;
  scheduledAt: string | null;
  phase: WatchState["phase"];
  problem: string | null;
  onRetry: () => void;
}

function Cover({ status, scheduledAt, phase, problem, onRetry }: CoverProps) {
  if (status === "ended") return <Card label="Off air" text="This broadcast has ended." />;
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
  if (status === "interrupted" || phase === "reconnecting") {
    return <Wait text="The picture was lost for a moment. It comes back by itself." />;
  }
  if (phase !== "playing") return <Wait text="Tuning in…" />;
  return null;
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
