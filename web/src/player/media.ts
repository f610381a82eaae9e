/** The state of a <video> as values a component can render. */
import { useEffect, useState } from "preact/hooks";

export interface Media {
  isPlaying: boolean;
  isWaiting: boolean;
  hasStarted: boolean;
  isMuted: boolean;
  volume: number;
  timeS: number;
  durationS: number;
  bufferedS: number;
  speed: number;
  hasEnded: boolean;
}

const AT_REST: Media = {
  isPlaying: false,
  isWaiting: false,
  hasStarted: false,
  isMuted: false,
  volume: 1,
  timeS: 0,
  durationS: 0,
  bufferedS: 0,
  speed: 1,
  hasEnded: false,
};

const EVENTS = [
  "play",
  "pause",
  "playing",
  "waiting",
  "seeking",
  "seeked",
  "timeupdate",
  "durationchange",
  "progress",
  "volumechange",
  "ratechange",
  "ended",
  "loadedmetadata",
  "canplay",
  "emptied",
] as const;

function readMedia(video: HTMLVideoElement): Media {
  let bufferedS = 0;
  for (let index = 0; index < video.buffered.length; index += 1) {
    if (video.buffered.start(index) <= video.currentTime + 0.5) bufferedS = video.buffered.end(index);
  }
  return {
    isPlaying: !video.paused && !video.ended,
    isWaiting: !video.paused && video.readyState < 3 && !video.ended,
    // Not by its time: a video may begin later than at its start.
    hasStarted: video.played.length > 0 || !video.paused,
    isMuted: video.muted || video.volume === 0,
    volume: video.volume,
    timeS: video.currentTime,
    durationS: Number.isFinite(video.duration) ? video.duration : 0,
    bufferedS,
    speed: video.playbackRate,
    hasEnded: video.ended,
  };
}

export function useMedia(element: { current: HTMLVideoElement | null }): Media {
  const [media, setMedia] = useState(AT_REST);
  useEffect(() => {
    const video = element.current;
    if (!video) return undefined;
    const update = () => setMedia(readMedia(video));
    for (const name of EVENTS) video.addEventListener(name, update);
    return () => {
      for (const name of EVENTS) video.removeEventListener(name, update);
    };
  }, []);
  return media;
}
