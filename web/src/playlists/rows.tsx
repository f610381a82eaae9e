/** The videos of a playlist in order. Their owner drags them, or moves them with the buttons beside each. */
import { useRef, useState } from "preact/hooks";
import { Icon } from "../kit/icons";
import { useKeptPlace } from "../kit/kept_place";
import type { Pages } from "../kit/load";
import { showError } from "../kit/toasts";
import { VideoCard } from "../videos/card";
import type { Video } from "../videos/shapes";
import { moveItem, placeVideo, removeVideo } from "./playlists";
import "./rows.css";

interface PlaylistRowsProps {
  playlistId: string;
  videos: Pages<Video>;
  isOwn: boolean;
  onRemoved: () => void;
}

export function PlaylistRows({ playlistId, videos, isOwn, onRemoved }: PlaylistRowsProps) {
  const dragged = useRef<number | null>(null);
  const [over, setOver] = useState<number | null>(null);
  const [said, setSaid] = useState("");
  const root = useRef<HTMLOListElement>(null);
  const keepPlace = useKeptPlace(root, videos.items.length, ".playlist-remove");
  const move = async (from: number, to: number) => {
    const video = videos.items[from];
    if (!video || to < 0 || to >= videos.items.length || from === to) return;
    videos.change((items) => moveItem(items, from, to));
    setSaid(`${video.title} is now number ${to + 1} of ${videos.items.length}.`);
    try {
      await placeVideo(playlistId, video.id, to);
    } catch (error) {
      showError(error);
      videos.reload();
    }
  };
  const remove = async (video: Video, index: number) => {
    keepPlace(index);
    try {
      await removeVideo(playlistId, video.id);
      videos.change((items) => items.filter((known) => known.id !== video.id));
      setSaid(`${video.title} was removed.`);
      onRemoved();
    } catch (error) {
      showError(error);
    }
  };
  return (
    <>
      <ol ref={root} class="playlist-videos">
        {videos.items.map((video, index) => (
          <li
            key={video.id}
            class={over === index ? "playlist-video over" : "playlist-video"}
            data-testid="playlist-video"
            draggable={isOwn}
            onDragStart={() => (dragged.current = index)}
            onDragOver={(event) => {
              if (dragged.current === null) return;
              event.preventDefault();
              setOver(index);
            }}
            onDragEnd={() => {
              dragged.current = null;
              setOver(null);
            }}
            onDrop={(event) => {
              event.preventDefault();
              if (dragged.current !== null) void move(dragged.current, index);
            }}
          >
            {isOwn && (
              <span class="playlist-grip" aria-hidden="true">
                <Icon name="grip" size={20} />
              </span>
            )}
            <VideoCard video={video} compact list={playlistId} />
            {isOwn && (
              <RowTools
                title={video.title}
                onUp={index > 0 ? () => void move(index, index - 1) : null}
                onDown={index < videos.items.length - 1 ? () => void move(index, index + 1) : null}
                onRemove={() => void remove(video, index)}
              />
            )}
          </li>
        ))}
      </ol>
      <p class="visually-hidden" role="status">
        {said}
      </p>
    </>
  );
}

interface RowToolsProps {
  title: string;
  onUp: (() => void) | null;
  onDown: (() => void) | null;
  onRemove: () => void;
}

function RowTools({ title, onUp, onDown, onRemove }: RowToolsProps) {
  return (
    <span class="playlist-tools">
      <button
        type="button"
        class="icon-button"
        aria-label={`Move ${title} up`}
        aria-disabled={onUp === null}
        onClick={() => onUp?.()}
      >
        <Icon name="up" size={20} />
      </button>
      <button
        type="button"
        class="icon-button"
        aria-label={`Move ${title} down`}
        aria-disabled={onDown === null}
        onClick={() => onDown?.()}
      >
        <Icon name="down" size={20} />
      </button>
      <button type="button" class="icon-button playlist-remove" aria-label={`Remove ${title}`} onClick={onRemove}>
        <Icon name="close" size={20} />
      </button>
    </span>
  );
}
