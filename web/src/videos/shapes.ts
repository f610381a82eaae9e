/** Videos as the API gives them. */
import type { Person } from "../kit/messages";
import { formatLeft } from "../kit/words";

export type VideoStatus = "uploading" | "queued" | "processing" | "ready" | "failed";
export type Visibility = "public" | "unlisted" | "followers" | "subscribers" | "private";

export type Author = Person;

/** A named part; it ends where the next begins. */
export interface Chapter {
  start_ms: number;
  title: string;
}

/** How a version of a video is made. */
export interface Recipe {
  /** Such as 720p; null: as large as the file. */
  quality_max: string | null;
  evens_loudness: boolean;
  /** Beside H.264. */
  codecs: string[];
  /** Whether its segments are encrypted; such a version has no other codecs. */
  protected: boolean;
}

/** The version in the making, or why the latest failed. */
export interface Reencoding {
  status: "queued" | "processing" | "failed";
  progress: number;
  error: string | null;
  quality?: string | null;
  speed?: number | null;
  left_s?: number | null;
}

export interface Video {
  id: string;
  title: string;
  description: string;
  owner: Author;
  status: VideoStatus;
  /** 0 to 1. */
  progress: number;
  error: { code: string; message: string } | null;
  /** While it is processed: the largest rung in work, seconds of video made per second, seconds left. */
  quality?: string | null;
  speed?: number | null;
  left_s?: number | null;
  visibility: Visibility;
  duration_ms: number | null;
  width: number | null;
  height: number | null;
  tags: string[];
  category: string | null;
  language: string | null;
  views: number;
  likes: number;
  created_at: string;
  /** When lists first showed it. */
  published_at?: string | null;
  /** While it waits for its time; it is private until then. */
  publication?: { at: string; visibility: Visibility } | null;
  withdrawal?: { at: string } | null;
  /** It is a live that was recorded, or a clip of one. */
  is_recording?: boolean;
  /** Whether its segments are encrypted. */
  protected?: boolean;
  playback: {
    hls: string | null;
    thumbnail: string | null;
    /** About three silent seconds, to play in a loop. */
    preview?: string | null;
    storyboard?: string | null;
    /** Only of sound without a picture. */
    waveform?: string | null;
    download?: string | null;
    /** What there will never be of it, and why. */
    left_out?: { what: string; code: string; message: string }[];
  } | null;
  /** Only for its owner. */
  reencoding?: Reencoding | null;
  /** What of the file is changed or left out, in sentences; only for its owner. */
  warnings?: string[];
  /** Where the rest of an unfinished upload goes; only for its owner. */
  upload?: { url: string } | null;
  /** Where one goes on watching; only when a video is looked at by itself. */
  resume_ms?: number | null;
  /** Whether one likes it; null for a stranger. Only when it is looked at by itself. */
  liked?: boolean | null;
  chapters?: Chapter[];
}

export const VISIBILITIES: readonly { value: Visibility; label: string; hint: string }[] = [
  { value: "public", label: "Public", hint: "Everyone can find and watch it." },
  { value: "unlisted", label: "Unlisted", hint: "Whoever has the link can watch it." },
  { value: "followers", label: "Followers", hint: "Only people who follow you." },
  { value: "subscribers", label: "Subscribers", hint: "Only people who subscribe to you. Others are told so." },
  { value: "private", label: "Private", hint: "Only you." },
];

/** What stands beside a thing that not everybody may find. */
export function nameAudience(visibility: string): string {
  return visibility === "subscribers" ? "for subscribers" : visibility;
}

/** A video can be watched as soon as its first rung is there, before all of them are; a recording always. */
export function isPlayable(video: Pick<Video, "playback">): boolean {
  return Boolean(video.playback?.hls);
}

/** Percent, rung, speed and time left, as far as they are known. */
export function describePace(video: Pick<Video, "progress" | "quality" | "speed" | "left_s">): string {
  const parts = [`${Math.floor(video.progress * 100)} %`];
  if (video.quality) parts.push(video.quality);
  if (video.speed) parts.push(`${video.speed.toFixed(1)}×`);
  if (video.left_s != null) parts.push(`${formatLeft(video.left_s)} left`);
  return parts.join(" / ");
}

const STATUS_WORDS: Record<VideoStatus, string> = {
  uploading: "Uploading",
  queued: "Waiting for its turn",
  processing: "Processing",
  ready: "Ready",
  failed: "Failed",
};

/** Whether another version of a video that plays is being made. */
export function isMadeAgain(video: Pick<Video, "reencoding">): boolean {
  return video.reencoding != null && video.reencoding.status !== "failed";
}

export function describeStatus(video: Pick<Video, "status" | "progress">): string {
  const percent = Math.floor(video.progress * 100);
  const words = STATUS_WORDS[video.status];
  return video.status === "processing" && percent > 0 ? `${words}, ${percent} %` : words;
}
