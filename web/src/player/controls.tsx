/** The row of controls below the picture. Every button is named; both sliders speak in words. */
import { useId, useState } from "preact/hooks";
import { Icon } from "../kit/icons";
import { formatDuration, formatLength, formatPosition } from "../kit/words";
import type { Chapter } from "../videos/shapes";
import { ChapterMarks, findChapter } from "./chapters";
import { Captions } from "./captions";
import type { EngineState, PlayerEngine } from "./engine";
import { SPEEDS, type PlayerCommand } from "./keys";
import type { Media } from "./media";
import { seekTo } from "./places";
import { findTile, useSheet, type Storyboard, type Tile } from "./storyboard";

interface ControlsProps {
  media: Media;
  engine: PlayerEngine | null;
  state: EngineState;
  video: { current: HTMLVideoElement | null };
  run: (command: PlayerCommand) => void;
  pictures: Storyboard;
  chapters: readonly Chapter[];
  hasTheatre: boolean;
}

export function Controls({ media, engine, state, video, run, pictures, chapters, hasTheatre }: ControlsProps) {
  const chapter = findChapter(chapters, media.timeS);
  return (
    <div class="player-controls">
      <Scrubber media={media} video={video} pictures={pictures} chapters={chapters} />
      <div class="player-row">
        <button
          type="button"
          class="icon-button"
          aria-label={media.isPlaying ? "Pause" : "Play"}
          onClick={() => run({ kind: "toggle" })}
        >
          <Icon name={media.isPlaying ? "pause" : "play"} />
        </button>
        <Volume media={media} video={video} run={run} />
        <span class="player-time data">
          {formatPosition(media.timeS, media.durationS)} <span aria-hidden="true">/</span>
          <span class="visually-hidden"> of </span> {formatLength(media.durationS)}
        </span>
        <span class="player-chapter data grow clip">{chapter?.title}</span>
        <Captions engine={engine} state={state} />
        <Speed media={media} video={video} />
        <Quality engine={engine} state={state} />
        <ViewButtons hasTheatre={hasTheatre} run={run} />
        <button type="button" class="icon-button" aria-label="Full screen" onClick={() => run({ kind: "full" })}>
          <Icon name="full" />
        </button>
      </div>
    </div>
  );
}

type ScrubberProps = Pick<ControlsProps, "media" | "video" | "pictures" | "chapters">;

function Scrubber({ media, video, pictures, chapters }: ScrubberProps) {
  const [pointed, setPointed] = useState<number | null>(null);
  const share = media.durationS > 0 ? media.timeS / media.durationS : 0;
  const chapter = findChapter(chapters, media.timeS);
  const buffered = media.durationS > 0 ? media.bufferedS / media.durationS : 0;
  const point = (event: PointerEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    setPointed(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
  };
  return (
    <div class="scrubber-line" onPointerMove={point} onPointerLeave={() => setPointed(null)}>
      {pointed !== null && media.durationS > 0 && (
        <Glimpse
          share={pointed}
          atS={pointed * media.durationS}
          tile={findTile(pictures.tiles, pointed * media.durationS)}
          chapter={findChapter(chapters, pointed * media.durationS)}
          onBroken={pictures.onBroken}
        />
      )}
      <ChapterMarks chapters={chapters} durationS={media.durationS} />
      <input
        type="range"
        class="scrubber"
        aria-label="Position"
        aria-valuetext={`${formatPosition(media.timeS, media.durationS)} of ${formatLength(media.durationS)}${chapter ? `, ${chapter.title}` : ""}`}
        min={0}
        max={media.durationS || 1}
        step={0.1}
        value={media.timeS}
        disabled={media.durationS === 0}
        style={{ "--share": `${share * 100}%`, "--buffered": `${buffered * 100}%` }}
        onInput={(event) => {
          if (video.current) seekTo(video.current, Number(event.currentTarget.value));
        }}
      />
    </div>
  );
}

/** What is to be seen where the pointer is on the line. */
interface GlimpseProps {
  share: number;
  atS: number;
  tile: Tile | null;
  chapter: Chapter | null;
  /** The sheet that the tile is on did not come. */
  onBroken: (sheet: string) => void;
}

function Glimpse({ share, atS, tile, chapter, onBroken }: GlimpseProps) {
  useSheet(tile?.sheet ?? null, onBroken);
  return (
    <div class="glimpse" style={{ "--at": `${share * 100}%` }} aria-hidden="true" data-testid="glimpse">
      {tile && (
        <span
          class="glimpse-picture"
          style={{
            width: `${tile.width}px`,
            height: `${tile.height}px`,
            backgroundImage: `url("${tile.sheet}")`,
            backgroundPosition: `-${tile.left}px -${tile.top}px`,
          }}
        />
      )}
      {chapter && <span class="glimpse-chapter data clip">{chapter.title}</span>}
      <span class="data">{formatDuration(atS)}</span>
    </div>
  );
}

function Volume({ media, video, run }: Pick<ControlsProps, "media" | "video" | "run">) {
  const level = media.isMuted ? 0 : media.volume;
  return (
    <span class="player-volume">
      <button
        type="button"
        class="icon-button"
        aria-label={media.isMuted ? "Sound on" : "Sound off"}
        onClick={() => run({ kind: "mute" })}
      >
        <Icon name={media.isMuted ? "muted" : "volume"} />
      </button>
      <input
        type="range"
        class="scrubber volume"
        aria-label="Volume"
        aria-valuetext={`${Math.round(level * 100)} %`}
        min={0}
        max={1}
        step={0.05}
        value={level}
        style={{ "--share": `${level * 100}%`, "--buffered": "0%" }}
        onInput={(event) => {
          if (!video.current) return;
          video.current.volume = Number(event.currentTarget.value);
          video.current.muted = false;
        }}
      />
    </span>
  );
}

function Speed({ media, video }: Pick<ControlsProps, "media" | "video">) {
  const id = useId();
  return (
    <span class="player-quality">
      <label class="visually-hidden" for={id}>
        Speed
      </label>
      <select
        id={id}
        value={String(media.speed)}
        data-testid="speed"
        onChange={(event) => {
          if (video.current) video.current.playbackRate = Number(event.currentTarget.value);
        }}
      >
        {SPEEDS.map((speed) => (
          <option key={speed} value={String(speed)}>
            {speed}×
          </option>
        ))}
      </select>
    </span>
  );
}

function ViewButtons({ hasTheatre, run }: Pick<ControlsProps, "hasTheatre" | "run">) {
  return (
    <>
      {document.pictureInPictureEnabled && (
        <button
          type="button"
          class="icon-button player-wide"
          aria-label="Picture in picture"
          onClick={() => run({ kind: "inset" })}
        >
          <Icon name="inset" />
        </button>
      )}
      {hasTheatre && (
        <button
          type="button"
          class="icon-button player-wide"
          aria-label="Theatre"
          data-testid="theatre"
          onClick={() => run({ kind: "theatre" })}
        >
          <Icon name="theatre" />
        </button>
      )}
    </>
  );
}

function Quality({ engine, state }: Pick<ControlsProps, "engine" | "state">) {
  const id = useId();
  if (state.levels.length === 0) return null;
  const playing = state.levels.find((level) => level.index === state.playing);
  return (
    <span class="player-quality">
      <label class="visually-hidden" for={id}>
        Quality
      </label>
      <Icon name="quality" size={18} />
      <select
        id={id}
        value={String(state.chosen)}
        onChange={(event) => engine?.choose(Number(event.currentTarget.value))}
      >
        <option value="-1">{playing ? `Auto (${playing.label})` : "Auto"}</option>
        {[...state.levels].reverse().map((level) => (
          <option key={level.index} value={String(level.index)}>
            {level.label}
          </option>
        ))}
      </select>
    </span>
  );
}
