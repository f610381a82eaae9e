/** Camera, microphone and screen: opening them, choosing among them, and saying why one does not open. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { SentPicture } from "./sent_picture";

export interface Device {
  id: string;
  label: string;
}

export interface Camera {
  stream: MediaStream | null;
  error: string | null;
  cameras: Device[];
  microphones: Device[];
  cameraId: string;
  microphoneId: string;
  isScreen: boolean;
  /** Opens camera and microphone (again); gives the stream, or null when it failed. */
  open: (choice?: Choice) => Promise<MediaStream | null>;
  openScreen: () => Promise<MediaStream | null>;
  close: () => void;
}

interface Choice {
  cameraId?: string;
  microphoneId?: string;
}

/** What a camera is asked for; one that has no such size gives what it has. */
export function askFor({ width, height }: SentPicture): MediaTrackConstraints {
  return { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30, max: 30 } };
}

/** Why the browser refused, in words that say what to do. */
export function describeMediaError(error: unknown): string {
  const name = error instanceof Error ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") {
    return "The browser may not use the camera. Allow it in the address bar, then try again.";
  }
  if (name === "NotFoundError" || name === "OverconstrainedError") return "No camera or microphone was found.";
  if (name === "NotReadableError" || name === "AbortError") return "The camera is in use by another program.";
  return "The camera could not be opened.";
}

function constrain(id: string, rest: MediaTrackConstraints): MediaTrackConstraints {
  return id ? { ...rest, deviceId: { exact: id } } : rest;
}

async function openDevices(choice: Required<Choice>, picture: SentPicture): Promise<MediaStream> {
  const video = constrain(choice.cameraId, askFor(picture));
  const audio = constrain(choice.microphoneId, { echoCancellation: true });
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio });
  } catch (error) {
    // Without a microphone the picture alone still makes a broadcast.
    if (!(error instanceof Error) || error.name !== "NotFoundError") throw error;
    return navigator.mediaDevices.getUserMedia({ video });
  }
}

/** Asks the open camera for another size; one that cannot change it keeps what it has. */
export async function resizeCamera(stream: MediaStream, picture: SentPicture): Promise<void> {
  await stream
    .getVideoTracks()[0]
    ?.applyConstraints(askFor(picture))
    .catch(() => undefined);
}

/** The screen with the microphone's sound, or with its own where there is no microphone. */
async function openScreenStream(voice: MediaStreamTrack[]): Promise<MediaStream> {
  const screen = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 30 }, audio: true });
  return new MediaStream([...screen.getVideoTracks(), ...(voice.length > 0 ? voice : screen.getAudioTracks())]);
}

function readDevices(list: MediaDeviceInfo[], kind: MediaDeviceKind, word: string): Device[] {
  return list
    .filter((device) => device.kind === kind && device.deviceId !== "")
    .map((device, index) => ({ id: device.deviceId, label: device.label || `${word} ${index + 1}` }));
}

interface CameraOwner {
  /** What to ask a camera for that is about to be opened. */
  readPicture: () => SentPicture;
  /** Hears of every new stream, so that a running broadcast can take its tracks. */
  onReplaced: (stream: MediaStream, isScreen: boolean) => void;
}

export function useCamera({ readPicture, onReplaced }: CameraOwner): Camera {
  const [stream, setStream] = useState<MediaStream | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [devices, setDevices] = useState<MediaDeviceInfo[]>([]);
  const [isScreen, setScreen] = useState(false);
  const [ids, setIds] = useState({ cameraId: "", microphoneId: "" });
  const latest = useRef<MediaStream | null>(null);
  const take = useCallback(async (next: MediaStream, screen: boolean) => {
    // Before anybody hears of it: a broadcast puts the new tracks into the old stream.
    const old = latest.current?.getTracks() ?? [];
    latest.current = next;
    setStream(next);
    setScreen(screen);
    setError(null);
    // The screen is no camera to come back to.
    setIds((known) => ({ ...readIds(next), ...(screen ? { cameraId: known.cameraId } : {}) }));
    onReplaced(next, screen);
    old.forEach((track) => !next.getTracks().includes(track) && track.stop());
    setDevices((await navigator.mediaDevices.enumerateDevices?.()) ?? []);
  }, []);
  const open = async (choice: Choice = {}) => {
    if (!navigator.mediaDevices) {
      setError("Cameras need a secure address: open this page by https or on localhost.");
      return null;
    }
    try {
      const next = await openDevices({ ...ids, ...choice }, readPicture());
      await take(next, false);
      return next;
    } catch (failure) {
      setError(describeMediaError(failure));
      return null;
    }
  };
  const openScreen = async () => {
    try {
      const next = await openScreenStream(latest.current?.getAudioTracks() ?? []);
      // Whoever stops sharing in the browser's own bar gets the camera back.
      next.getVideoTracks()[0]?.addEventListener("ended", () => latest.current === next && void open());
      await take(next, true);
      return next;
    } catch {
      return null;
    }
  };
  const close = useCallback(() => {
    latest.current?.getTracks().forEach((track) => track.stop());
    latest.current = null;
    setStream(null);
  }, []);
  return {
    stream,
    error,
    cameras: readDevices(devices, "videoinput", "Camera"),
    microphones: readDevices(devices, "audioinput", "Microphone"),
    ...ids,
    isScreen,
    open,
    openScreen,
    close,
  };
}

function readIds(stream: MediaStream): { cameraId: string; microphoneId: string } {
  return {
    cameraId: stream.getVideoTracks()[0]?.getSettings().deviceId ?? "",
    microphoneId: stream.getAudioTracks()[0]?.getSettings().deviceId ?? "",
  };
}

/** Opens at once where the person said yes on an earlier visit; never asks by itself. */
export function useGrantedCamera(open: () => Promise<unknown>, skip: boolean): void {
  useEffect(() => {
    if (skip || !navigator.permissions) return;
    navigator.permissions
      .query({ name: "camera" as PermissionName })
      .then((permission) => permission.state === "granted" && open())
      .catch(() => undefined);
  }, []);
}
