/**
 * The player of stored videos: picture, controls, keyboard, quality, errors. Give it an HLS address;
 * `renew` is asked for a fresh one when the right to watch ran out.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Icon } from "../kit/icons";
import { Bars } from "../kit/states";
import { Store, useStore } from "../kit/store";
import { useBeacon, type TellSession } from "./beacon";
import { Controls } from "./controls";
import { AT_REST, PlayerEngine, type EngineState } from "./engine";
import { stepSpeed, type PlayerCommand } from "./keys";
import type { Chapter } from "../videos/shapes";
import { useMedia, type Media } from "./media";
import { seekTo } from "./places";
import { usePlayerKeys } from "./player_keys";
import { usePosition, type TellPosition } from "./position";
import { useStoryboard } from "./storyboard";
import { Waveform } from "./waveform";
import "./player.css";

/** What a page may ask of its player. */
export interface PlayerHandle {
  seek: (toS: number) => void;
  position: () => number;
}

export interface PlayerProps {
  source: string;
  title: string;
  poster?: string | null | undefined;
  /** WebVTT of small pictures, shown above the line while scrubbing. */
  storyboard?: string | null | undefined;
  /** Peaks of sound that has no picture, as JSON. */
  waveform?: string | null | undefined;
  /** False while more qualities are being made: once it turns true, the player takes them up. */
  isComplete?: boolean;
  renew?: () => Promise<string | null>;
  /** Where to begin, in seconds. */
  startS?: number;
  /** Hears where the viewer is. */
  onPosition?: TellPosition | undefined;
  /** Hears how the session stands. */
  onSession?: TellSession | undefined;
  chapters?: readonly Chapter[] | undefined;
  /** Lets the page seek. */
  handle?: { current: PlayerHandle | null };
  /** Begins by itself, where the browser lets it. */
  autoplay?: boolean;
  /** Makes the picture as wide as the window, or as it was. */
  onTheatre?: (() => void) | undefined;
  /** Shown over the picture at the end. */
  endScreen?: ComponentChildren;
  /** Called at the end. */
  onEnded?: (() => void) | undefined;
}

const CONTROLS_SHOWN_MS = 2_600;
const FROM_START_S = 8;
const NO_ENGINE = new Store<EngineState>(AT_REST);

export function Player(props: PlayerProps) {
  const { title, poster, storyboard, waveform, isComplete = true, startS = 0 } = props;
  const latest = useRef(props);
  latest.current = props;
  const video = useRef<HTMLVideoElement>(null);
  const root = useRef<HTMLDivElement>(null);
  const engine = useEngine(video, props);
  usePosition(video, props.onPosition);
  useBeacon(video, engine, props.onSession);
  useHandle(video, props);
  useMoreQualities(engine, isComplete);
  const pictures = useStoryboard(storyboard ?? null, props.renew);
  const state = useStore(engine?.state ?? NO_ENGINE);
  const media = useMedia(video);
  const { isAwake, wake } = useAwake(media.isPlaying);
  const run = useMemo(() => (command: PlayerCommand) => {
    if (command.kind === "theatre") latest.current.onTheatre?.();
    else applyCommand(command, video.current, root.current);
  }, []);
  usePlayerKeys(root, (command) => {
    wake();
    run(command);
  });
  return (
    <div
      ref={root}
      class={`player${isAwake || !media.isPlaying ? " awake" : ""}`}
      role="region"
      aria-label={`Video player: ${title}`}
      onPointerMove={wake}
      onFocusIn={wake}
    >
      <video
        ref={video}
        data-testid="player-video"
        playsInline
        autoplay={props.autoplay ?? false}
        onEnded={() => props.onEnded?.()}
        preload="metadata"
        poster={poster ?? undefined}
        tabIndex={0}
        aria-label={title}
        onClick={() => run({ kind: "toggle" })}
        onDblClick={() => run({ kind: "full" })}
      />
      {waveform && <Waveform address={waveform} share={media.durationS > 0 ? media.timeS / media.durationS : 0} />}
      {state.error ? (
        <PlayerFailure text={state.error} onRetry={() => engine?.retry()} />
      ) : (
        <>
          <Overlay media={media} onPlay={() => run({ kind: "toggle" })} />
          {media.hasEnded && props.endScreen}
          <FromTheStart media={media} startS={startS} onStart={() => run({ kind: "jump", share: 0 })} />
          <Controls media={media} engine={engine} state={state} video={video} run={run} pictures={pictures} chapters={props.chapters ?? []} hasTheatre={props.onTheatre !== undefined} />
        </>
      )}
    </div>
  );
}

function useEngine(
  video: { current: HTMLVideoElement | null },
  { source, renew = undefined, startS = 0 }: PlayerProps,
): PlayerEngine | null {
  const [engine, setEngine] = useState<PlayerEngine | null>(null);
  useEffect(() => {
    if (!video.current) return undefined;
    const made = new PlayerEngine(video.current, { source, renew: renew ?? null, startS });
    setEngine(made);
    void made.load();
    return () => made.destroy();
  }, []);
  useEffect(() => engine?.moveTo(source), [engine, source]);
  return engine;
}

function useHandle(video: { current: HTMLVideoElement | null }, { handle }: PlayerProps): void {
  useEffect(() => {
    if (!handle) return undefined;
    handle.current = {
      position: () => video.current?.currentTime ?? 0,
      seek: (toS) => {
        if (!video.current) return;
        if (video.current.readyState > 0) seekTo(video.current, toS);
        else video.current.currentTime = toS; // it begins there once it is loaded
        void video.current.play().catch(() => undefined);
        video.current.focus({ preventScroll: true });
      },
    };
    return () => {
      handle.current = null;
    };
  }, [handle]);
}

function useMoreQualities(engine: PlayerEngine | null, isComplete: boolean): void {
  const wasComplete = useRef(isComplete);
  useEffect(() => {
    if (isComplete && !wasComplete.current) engine?.offerMore();
    wasComplete.current = isComplete;
  }, [isComplete]);
}

/** Controls hide while playing untouched. */
function useAwake(isPlaying: boolean): { isAwake: boolean; wake: () => void } {
  const [isAwake, setAwake] = useState(true);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const wake = () => {
    clearTimeout(timer.current);
    setAwake(true);
    timer.current = setTimeout(() => setAwake(false), CONTROLS_SHOWN_MS);
  };
  useEffect(() => {
    wake();
    return () => clearTimeout(timer.current);
  }, [isPlaying]);
  return { isAwake, wake };
}

type OwnCommand = Exclude<PlayerCommand, { kind: "theatre" }>;

function applyCommand(command: OwnCommand, video: HTMLVideoElement | null, root: HTMLDivElement | null): void {
  if (!video) return;
  switch (command.kind) {
    case "toggle":
      if (video.paused) void video.play().catch(() => undefined);
      else video.pause();
      return;
    case "seek":
      seekTo(video, video.currentTime + command.bySeconds);
      return;
    case "jump":
      seekTo(video, video.duration * command.share);
      return;
    case "volume":
      video.muted = false;
      video.volume = Math.max(0, Math.min(1, video.volume + command.by));
      return;
    case "mute":
      video.muted = !video.muted;
      return;
    case "speed":
      video.playbackRate = stepSpeed(video.playbackRate, command.steps);
      return;
    case "inset":
      if (document.pictureInPictureElement) void document.exitPictureInPicture();
      else void video.requestPictureInPicture?.().catch(() => undefined);
      return;
    case "full":
      if (document.fullscreenElement) void document.exitFullscreen();
      else void root?.requestFullscreen?.().catch(() => undefined);
      return;
  }
}

function Overlay({ media, onPlay }: { media: Media; onPlay: () => void }) {
  if (media.isWaiting) {
    return (
      <div class="player-middle" role="status">
        <Bars class="player-wait" />
        <span class="visually-hidden">Loading the video</span>
      </div>
    );
  }
  if (media.isPlaying || media.hasStarted) return null;
  return (
    <div class="player-middle">
      <button type="button" class="player-big" aria-label="Play" onClick={onPlay}>
        <Icon name="play" size={38} />
      </button>
    </div>
  );
}

/** For a while after a video went on where it was left. */
function FromTheStart({ media, startS, onStart }: { media: Media; startS: number; onStart: () => void }) {
  if (startS <= 0 || Math.abs(media.timeS - startS) > FROM_START_S) return null;
  return (
    <button type="button" class="player-from-start" onClick={onStart} data-testid="from-start">
      <Icon name="retry" size={18} /> From the start
    </button>
  );
}

function PlayerFailure({ text, onRetry }: { text: string; onRetry: () => void }) {
  return (
    <div class="player-failure" role="alert" data-testid="error-state">
      <p>{text}</p>
      <button type="button" class="button" onClick={onRetry}>
        <Icon name="retry" size={18} /> Try again
      </button>
    </div>
  );
}
