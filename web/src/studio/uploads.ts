/**
 * Uploads under way. They live outside the pages, so that walking about does not stop one. The API
 * creates the video, tus 1.0 carries the bytes to an edge; a file chosen again after a reload goes
 * on where it stopped.
 */
import type { Upload } from "tus-js-client";
import { api } from "../kit/api";
import { ApiError, describeError } from "../kit/errors";
import { getAccessToken, refreshAccessToken } from "../kit/session";
import { Store } from "../kit/store";
import type { Video, Visibility } from "../videos/shapes";
import { readLengthMs } from "./file_length";
import type { IsProtected } from "./protection_field";
import { sendLateIndex } from "./file_index";
import { fingerprintOf, UploadMemory } from "./upload_memory";
import { UploadPace } from "./upload_pace";

export type UploadState = "waiting" | "starting" | "sending" | "paused" | "failed" | "done";

export interface UploadItem {
  videoId: string;
  title: string;
  sizeBytes: number;
  sentBytes: number;
  /** Bytes per second of late; null until that is known. */
  speedBps: number | null;
  state: UploadState;
  error: string | null;
}

interface Created {
  id: string;
  upload: { url: string };
}

export interface UploadChoice {
  file: File;
  title: string;
  visibility: Visibility;
  /** When it becomes so visible; null: at once. */
  publishAt: string | null;
  isProtected: IsProtected;
}

const CHUNK_BYTES = 8 * 1024 * 1024;
const RETRY_DELAYS_MS = [0, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000];

export const uploads = new Store<UploadItem[]>([]);
const memory = new UploadMemory();
const running = new Map<string, { transfer: Upload; file: File }>();
/** Files of a batch that wait for their turn, by the id of their row. */
const waiting = new Map<string, UploadChoice>();
const SENDING_MAX = 2;
let batchCount = 0;

/** Whether the server may begin with its video before all of it is there: not with what is one piece. */
export function mayBeginAhead(item: UploadItem): boolean {
  return item.state !== "waiting" && !waiting.has(item.videoId) && item.sizeBytes > CHUNK_BYTES;
}

function change(videoId: string, part: Partial<UploadItem>): void {
  uploads.set(uploads.get().map((item) => (item.videoId === videoId ? { ...item, ...part } : item)));
}

/** Creates the video (or finds the unfinished one of the same file) and starts sending. Gives its id. */
export async function startUpload(choice: UploadChoice): Promise<string> {
  const { file, title, visibility, publishAt, isProtected } = choice;
  const fingerprint = fingerprintOf(file);
  const known = await findUnfinished(fingerprint);
  const created =
    known ??
    (await api.post<Created>("/videos", {
      title,
      filename: file.name,
      size_bytes: file.size,
      duration_ms: await readLengthMs(file),
      visibility,
      publish_at: publishAt,
      protected: isProtected,
    }));
  memory.keep(fingerprint, { videoId: created.id, url: created.upload.url });
  const item: UploadItem = {
    videoId: created.id,
    title,
    sizeBytes: file.size,
    sentBytes: 0,
    speedBps: null,
    state: "starting",
    error: null,
  };
  uploads.set([item, ...uploads.get().filter((other) => other.videoId !== created.id)]);
  if (!known && file.size > CHUNK_BYTES) void sendLateIndex(file, created.upload.url);
  await send(created.id, file, created.upload.url);
  return created.id;
}

/** The video that this file belonged to before a reload, if the server still waits for its rest. */
async function findUnfinished(fingerprint: string): Promise<Created | null> {
  const known = memory.find(fingerprint);
  if (!known) return null;
  try {
    const video = await api.get<Video>(`/videos/${known.videoId}`);
    if (video.status === "uploading") return { id: video.id, upload: { url: video.upload?.url ?? known.url } };
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  }
  memory.forget(fingerprint);
  return null;
}

/** Takes several files at once: they are announced and sent two at a time, in their order. */
export function startBatch(choices: readonly UploadChoice[]): void {
  const rows = choices.map((choice): UploadItem => {
    const videoId = `waiting-${(batchCount += 1)}`;
    waiting.set(videoId, choice);
    return {
      videoId,
      title: choice.title,
      sizeBytes: choice.file.size,
      sentBytes: 0,
      speedBps: null,
      state: "waiting",
      error: null,
    };
  });
  uploads.set([...uploads.get(), ...rows]);
  startNext();
}

function startNext(): void {
  const sending = uploads.get().filter((item) => item.state === "starting" || item.state === "sending").length;
  const turns = uploads.get().filter((item) => item.state === "waiting");
  for (const { videoId } of turns.slice(0, Math.max(0, SENDING_MAX - sending))) void startWaiting(videoId);
}

async function startWaiting(videoId: string): Promise<void> {
  const choice = waiting.get(videoId);
  if (!choice) return;
  change(videoId, { state: "starting", error: null });
  try {
    await startUpload(choice);
    waiting.delete(videoId);
    uploads.set(uploads.get().filter((item) => item.videoId !== videoId));
  } catch (error) {
    change(videoId, { state: "failed", error: describeError(error) });
    startNext();
  }
}

async function send(videoId: string, file: File, url: string): Promise<void> {
  const { Upload: TusUpload } = await import("tus-js-client");
  const pace = new UploadPace();
  const transfer = new TusUpload(file, {
    uploadUrl: url,
    chunkSize: CHUNK_BYTES,
    retryDelays: RETRY_DELAYS_MS,
    storeFingerprintForResuming: false,
    onBeforeRequest: async (request) => {
      const token = await getAccessToken();
      if (token) request.setHeader("Authorization", `Bearer ${token}`);
    },
    onShouldRetry: (error) => {
      const status = error.originalResponse?.getStatus() ?? 0;
      if (status === 401) void refreshAccessToken(null).catch(() => undefined);
      return status === 0 || status === 401 || status === 409 || status === 423 || status === 429 || status >= 500;
    },
    onProgress: (sentBytes) =>
      change(videoId, { sentBytes, speedBps: pace.note(sentBytes, performance.now()), state: "sending" }),
    onSuccess: () => finish(videoId, file),
    onError: (error) => {
      change(videoId, { state: "failed", error: describeRefusal(error), speedBps: null });
      startNext();
    },
  });
  running.set(videoId, { transfer, file });
  transfer.start();
}

function finish(videoId: string, file: File): void {
  memory.forget(fingerprintOf(file));
  running.delete(videoId);
  change(videoId, { state: "done", sentBytes: file.size, speedBps: null });
  startNext();
}

interface TusRefusal {
  originalResponse?: { getStatus: () => number; getBody: () => string } | null;
}

function describeRefusal(error: Error): string {
  const response = "originalResponse" in error ? (error as TusRefusal).originalResponse : null;
  if (!response) return "The connection was lost. The part that arrived is kept.";
  try {
    const body = JSON.parse(response.getBody()) as { message?: string };
    if (body.message) return body.message;
  } catch {
    // The upload protocol may answer in plain text; the status then has to do.
  }
  const status = response.getStatus();
  if (status === 404 || status === 410) return "The server no longer waits for this upload.";
  if (status === 413) return "The file is larger than this server takes.";
  return `The server refused the upload (${status}).`;
}

export function pauseUpload(videoId: string): void {
  void running.get(videoId)?.transfer.abort();
  change(videoId, { state: "paused", speedBps: null });
  startNext();
}

/** Goes on with a paused or failed upload, at whichever edge the API names now. */
export async function resumeUpload(videoId: string): Promise<void> {
  if (waiting.has(videoId)) return startWaiting(videoId);
  const known = running.get(videoId);
  if (!known) return;
  change(videoId, { state: "starting", error: null });
  const video = await api.get<Video>(`/videos/${videoId}`).catch(() => null);
  await send(videoId, known.file, video?.upload?.url ?? known.transfer.url ?? "");
}

/** Gives an upload up: its video disappears, and what has arrived of it is removed (tus termination). */
export async function dropUpload(videoId: string): Promise<void> {
  const known = running.get(videoId);
  running.delete(videoId);
  waiting.delete(videoId);
  uploads.set(uploads.get().filter((item) => item.videoId !== videoId));
  startNext();
  if (!known) return;
  memory.forget(fingerprintOf(known.file));
  try {
    await known.transfer.abort(true);
  } catch (error) {
    if (!isGone(error)) throw new Error("The upload could not be given up now. Delete it from the list below.");
  }
}

/** Whether the server no longer knows the upload: then there is nothing left to remove. */
function isGone(error: unknown): boolean {
  const status = (error as TusRefusal).originalResponse?.getStatus();
  return status === 404 || status === 410;
}
