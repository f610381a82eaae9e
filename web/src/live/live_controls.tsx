/** The controls over a live picture: back in time and live again, sound, picture in picture, full screen. */
import { Icon } from "../kit/icons";
import type { PlayerCommand } from "../player/keys";
import { usePlayerKeys } from "../player/player_keys";
import { DvrBar } from "./dvr_bar";
import type { LivePlayer, PlayerState } from "./live_player";
import { QualityChoice } from "./quality_choice";
import { describeBehind, LIVE_WITHIN_S, stepBehind } from "./ways";

interface LiveControlsProps {
  root: { current: HTMLDivElement | null };
  video: { current: HTMLVideoElement | null };
  player: LivePlayer;
  state: PlayerState;
  isMuted: boolean;
}

export function LiveControls({ root, video, player, state, isMuted }: LiveControlsProps) {
  const { way, behindS, lengthS, latencyS, isPaused } = state;
  const isLive = behindS < LIVE_WITHIN_S && !isPaused;
  const asksForSound = state.needsSound && isMuted;
  usePlayerKeys(root, (command) => runCommand(command, player, state, video.current, root.current));
  return (
    <div class="live-controls">
      <DvrBar lengthS={lengthS} behindS={behindS} canGoBack={state.canGoBack} onSeekBehind={(s) => player.seekBehind(s)} />
      <div class="live-row">
        <button
          type="button"
          class="icon-button"
          aria-label={isPaused ? "Play" : "Pause"}
          onClick={() => player.togglePause()}
        >
          <Icon name={isPaused ? "play" : "pause"} />
        </button>
        {asksForSound ? (
          <button type="button" class="button small primary" onClick={() => toggleSound(video.current)}>
            <Icon name="muted" size={18} /> Turn the sound on
          </button>
        ) : (
          <button
            type="button"
            class="icon-button"
            aria-label={isMuted ? "Sound on" : "Sound off"}
            onClick={() => toggleSound(video.current)}
          >
            <Icon name={isMuted ? "muted" : "volume"} />
          </button>
        )}
        <button
          type="button"
          class={`button small go-live${isLive ? " is-live" : ""}`}
          data-testid="go-live-again"
          aria-pressed={isLive}
          onClick={() => player.goLive()}
        >
          {isLive ? "Live" : `Go live (${describeBehind(behindS)})`}
        </button>
        <span class="live-latency data" data-testid="live-latency" data-way={way}>
          {latencyS === null || !isLive ? "" : `${latencyS.toFixed(1)} s late`}
        </span>
        <span class="grow" />
        <QualityChoice key={way} menu={way === "webrtc" ? player.layers : player.levels} />
        {document.pictureInPictureEnabled && (
          <button
            type="button"
            class="icon-button"
            aria-label="Picture in picture"
            onClick={() => toggleInset(video.current)}
          >
            <Icon name="inset" />
          </button>
        )}
        <button type="button" class="icon-button" aria-label="Full screen" onClick={() => toggleFull(root.current)}>
          <Icon name="full" />
        </button>
      </div>
    </div>
  );
}

function toggleSound(video: HTMLVideoElement | null): void {
  if (video) video.muted = !video.muted;
}

function toggleInset(video: HTMLVideoElement | null): void {
  if (document.pictureInPictureElement) void document.exitPictureInPicture();
  else void video?.requestPictureInPicture().catch(() => undefined);
}

function toggleFull(root: HTMLDivElement | null): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void root?.requestFullscreen().catch(() => undefined);
}

function runCommand(
  command: PlayerCommand,
  player: LivePlayer,
  state: PlayerState,
  video: HTMLVideoElement | null,
  root: HTMLDivElement | null,
): void {
  if (!video) return;
  switch (command.kind) {
    case "toggle":
      return player.togglePause();
    case "seek":
      return player.seekBehind(stepBehind(state.behindS, command.bySeconds));
    case "jump":
      return player.seekBehind(command.share === 0 ? Number.POSITIVE_INFINITY : state.lengthS * (1 - command.share));
    case "volume":
      video.volume = Math.max(0, Math.min(1, video.volume + command.by));
      return;
    case "mute":
      return toggleSound(video);
    case "full":
      return toggleFull(root);
    case "inset":
      return toggleInset(video);
  }
}
