/**
 * Uploads under way. They live outside the pages, so that walking about does not stop one. The API
 * creates the video, tus 1.0 carries the bytes to an edge; a file chosen again after a reload goes
 * on where it stopped.
 */
import type { HttpRequest, Upload, UploadOptions } from "tus-js-client";
import { api } from "../kit/api";
import { ApiError, describeError } from "../kit/errors";
import { getAccessToken, refreshAccessToken } from "../kit/session";
import { Store } from "../kit/store";
import { showError } from "../kit/toasts";
import type { Video } from "../videos/shapes";
import { readLengthMs } from "./file_length";
import { sendLateIndex } from "./file_index";
import { loadTus } from "./tus";
import {
  applyChoice,
  describeBegun,
  isAsProtected,
  nameFromFile,
  type BegunChoice,
  type UploadChoice,
} from "./upload_choice";
import { fingerprintOf, UploadMemory, type KnownUpload } from "./upload_memory";
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

interface Announced extends Created {
  title: string;
  isNew: boolean;
}

/** What the server still waits for the rest of. */
interface Begun {
  video: Video;
  known: KnownUpload;
}

const CHUNK_BYTES = 8 * 1024 * 1024;
const RETRY_DELAYS_MS = [0, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000];
/** A transfer of which nothing moved for so long stands still: it has no speed. */
const STILL_MS = 4_000;

export const uploads = new Store<UploadItem[]>([]);
const memory = new UploadMemory();

/** One try to send a file; another takes its place when somebody resumes. */
interface Sending {
  videoId: string;
  file: File;
  url: string;
  /** Its index may have to go ahead of it. */
  isNew: boolean;
  /** Null until its bytes go. */
  transfer: Upload | null;
}

const running = new Map<string, Sending>();
/** Files of a batch that wait for their turn, by the id of their row. */
const waiting = new Map<string, UploadChoice>();
/** Those of them whose video is being created. */
const announced = new Map<string, Promise<Announced>>();
const SENDING_MAX = 2;
let batchCount = 0;

/** Whether the server may begin with its video before all of it is there: not with what is one piece. */
export function mayBeginAhead(item: UploadItem): boolean {
  return item.state !== "waiting" && !waiting.has(item.videoId) && item.sizeBytes > CHUNK_BYTES;
}

function change(videoId: string, part: Partial<UploadItem>): void {
  uploads.set(uploads.get().map((item) => (item.videoId === videoId ? { ...item, ...part } : item)));
}

function findItem(videoId: string): UploadItem | undefined {
  return uploads.get().find((item) => item.videoId === videoId);
}

/** Creates the video (or finds the unfinished one of the same file) and starts sending. Gives its id. */
export async function startUpload(choice: UploadChoice): Promise<string> {
  const created = await announce(choice);
  await begin(created, choice, null);
  return created.id;
}

async function announce(choice: UploadChoice): Promise<Announced> {
  const fingerprint = fingerprintOf(choice.file);
  const begun = await findBegun(fingerprint);
  if (begun && isAsProtected(begun.video, begun.known.isProtected ?? null, choice)) {
    return goOn(begun, choice);
  }
  const created = await create(choice);
  if (begun) void giveUp(begun.known); // which forgets the file at once, before it is kept anew
  memory.keep(fingerprint, { videoId: created.id, url: created.upload.url, isProtected: choice.isProtected });
  return created;
}

/** What was chosen now counts: nothing more is sent until the video is so. */
async function goOn({ video, known }: Begun, choice: UploadChoice): Promise<Announced> {
  if (running.has(video.id)) pauseUpload(video.id);
  await applyChoice(video, choice);
  memory.keep(fingerprintOf(choice.file), known);
  return { id: video.id, title: (choice.chosen.has("title") ? choice.title : null) ?? video.title, upload: { url: known.url }, isNew: false };
}

async function create({ file, title, visibility, publishAt, isProtected }: UploadChoice): Promise<Announced> {
  const name = title ?? nameFromFile(file.name);
  const created = await api.post<Created>("/videos", {
    title: name,
    filename: file.name,
    size_bytes: file.size,
    duration_ms: await readLengthMs(file),
    visibility,
    publish_at: publishAt,
    protected: isProtected,
  });
  return { ...created, title: name, isNew: true };
}

/** Another upload of the same file takes its place. */
async function giveUp({ videoId, url }: KnownUpload): Promise<void> {
  try {
    await (running.has(videoId) ? dropUpload(videoId) : terminate(url));
  } catch (error) {
    showError(error);
  }
}

/** Shows the video's row, in the place of the one that waited for it, and sends unless that one was paused. */
async function begin(created: Announced, { file }: UploadChoice, row: UploadItem | null): Promise<void> {
  const item: UploadItem = {
    videoId: created.id,
    title: created.title,
    sizeBytes: file.size,
    sentBytes: 0,
    speedBps: null,
    state: row?.state ?? "starting",
    error: null,
  };
  void running.get(created.id)?.transfer?.abort();
  const sending = { videoId: created.id, file, url: created.upload.url, isNew: created.isNew, transfer: null };
  running.set(created.id, sending);
  const others = uploads.get().filter((other) => other.videoId !== created.id);
  uploads.set(row ? others.map((other) => (other.videoId === row.videoId ? item : other)) : [item, ...others]);
  await send(sending);
}

/** The video that this file belonged to before a reload, if the server still waits for its rest. */
async function findBegun(fingerprint: string): Promise<Begun | null> {
  const known = memory.find(fingerprint);
  if (!known) return null;
  try {
    const video = await api.get<Video>(`/videos/${known.videoId}`);
    // The API tells an upload's address to its owner alone, and while it waits.
    if (video.status === "uploading" && video.upload) return { video, known: { ...known, url: video.upload.url } };
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  }
  memory.forget(fingerprint);
  return null;
}

/** What was chosen for this file if it was begun before; null when it was not, or nobody can say now. */
export async function recallChoice(file: File): Promise<BegunChoice | null> {
  const begun = await findBegun(fingerprintOf(file)).catch(() => null);
  return begun && describeBegun(begun.video, begun.known.isProtected ?? null);
}

/** Takes several files at once: they are announced and sent two at a time, in their order. */
export function startBatch(choices: readonly UploadChoice[]): void {
  const rows = choices.map((choice): UploadItem => {
    const videoId = `waiting-${(batchCount += 1)}`;
    waiting.set(videoId, choice);
    return {
      videoId,
      title: choice.title ?? nameFromFile(choice.file.name),
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
  if (announced.has(videoId)) return;
  const announcing = announce(choice);
  announced.set(videoId, announcing);
  try {
    const created = await announcing;
    const row = findItem(videoId);
    waiting.delete(videoId);
    if (row) await begin(created, choice, row);
  } catch (error) {
    change(videoId, { state: "failed", error: describeError(error) });
    startNext();
  } finally {
    announced.delete(videoId);
  }
}

/** Whether it shall still be sent: it was neither paused nor given up, and no other try took its place. */
function isWanted(sending: Sending): boolean {
  const state = findItem(sending.videoId)?.state;
  return running.get(sending.videoId) === sending && (state === "starting" || state === "sending");
}

async function send(sending: Sending): Promise<void> {
  if (!isWanted(sending)) return;
  const { videoId, file, url } = sending;
  if (sending.isNew && file.size > CHUNK_BYTES) void sendLateIndex(file, url);
  sending.isNew = false;
  try {
    const { Upload: TusUpload } = await loadTus();
    if (!isWanted(sending)) return;
    sending.transfer = new TusUpload(file, describeTransfer(sending));
    sending.transfer.start();
  } catch (error) {
    if (isWanted(sending)) stopFailed(videoId, describeError(error));
  }
}

function stopFailed(videoId: string, error: string): void {
  change(videoId, { state: "failed", error, speedBps: null });
  startNext();
}

async function addToken(request: HttpRequest): Promise<void> {
  const token = await getAccessToken();
  if (token) request.setHeader("Authorization", `Bearer ${token}`);
}

function mayRetry(error: TusRefusal): boolean {
  const status = error.originalResponse?.getStatus() ?? 0;
  if (status === 401) void refreshAccessToken(null).catch(() => undefined);
  return status === 0 || status === 401 || status === 409 || status === 423 || status === 429 || status >= 500;
}

function describeTransfer(sending: Sending): UploadOptions {
  const { videoId, file, url } = sending;
  const pace = new UploadPace();
  let still: ReturnType<typeof setTimeout> | undefined;
  const noteStill = () => {
    pace.forget();
    if (isWanted(sending)) change(videoId, { speedBps: null });
  };
  return {
    uploadUrl: url,
    chunkSize: CHUNK_BYTES,
    retryDelays: RETRY_DELAYS_MS,
    storeFingerprintForResuming: false,
    onBeforeRequest: async (request) => {
      await addToken(request);
      // A request that is not under way yet cannot be aborted.
      if (!isWanted(sending)) throw new Error("The upload was paused.");
    },
    onShouldRetry: (error) => isWanted(sending) && mayRetry(error),
    onProgress: (sentBytes) => {
      clearTimeout(still);
      if (!isWanted(sending)) return;
      change(videoId, { sentBytes, speedBps: pace.note(sentBytes, performance.now()), state: "sending" });
      still = setTimeout(noteStill, STILL_MS);
    },
    onSuccess: () => finish(videoId, file),
    onError: (error) => {
      if (isWanted(sending)) stopFailed(videoId, describeRefusal(error));
    },
  };
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

/** Stops an upload, also one that has not begun to send: it then does not. */
export function pauseUpload(videoId: string): void {
  void running.get(videoId)?.transfer?.abort();
  change(videoId, { state: "paused", speedBps: null });
  startNext();
}

/** Goes on with a paused or failed upload, at whichever edge the API names now. */
export async function resumeUpload(videoId: string): Promise<void> {
  if (waiting.has(videoId)) return startWaiting(videoId);
  const known = running.get(videoId);
  if (!known) return;
  const sending = { ...known, transfer: null };
  running.set(videoId, sending);
  change(videoId, { state: "starting", error: null });
  const video = await api.get<Video>(`/videos/${videoId}`).catch(() => null);
  sending.url = video?.upload?.url ?? known.url;
  await send(sending);
}

/** Gives an upload up: its video disappears, and what has arrived of it is removed (tus termination). */
export async function dropUpload(videoId: string): Promise<void> {
  const known = running.get(videoId);
  const choice = waiting.get(videoId);
  const announcing = announced.get(videoId);
  running.delete(videoId);
  waiting.delete(videoId);
  uploads.set(uploads.get().filter((item) => item.videoId !== videoId));
  startNext();
  if (known) {
    void known.transfer?.abort();
    await remove(known.file, known.url);
  }
  const created = await announcing?.catch(() => null);
  if (choice && created) await remove(choice.file, created.upload.url);
}

async function remove(file: File, url: string): Promise<void> {
  memory.forget(fingerprintOf(file));
  await terminate(url);
}

async function terminate(url: string): Promise<void> {
  try {
    const { Upload: TusUpload } = await loadTus();
    const how = { onBeforeRequest: addToken, onShouldRetry: mayRetry, retryDelays: RETRY_DELAYS_MS };
    await TusUpload.terminate(url, how);
  } catch (error) {
    if (!isGone(error)) throw new Error("The upload could not be given up now. Delete it from the list below.");
  }
}

/** Whether the server no longer knows the upload: then there is nothing left to remove. */
function isGone(error: unknown): boolean {
  const status = (error as TusRefusal).originalResponse?.getStatus();
  return status === 404 || status === 410;
}
