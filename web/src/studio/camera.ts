/** Camera, microphone and screen: opening them, choosing among them, and saying why one does not open. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Openings } from "./openings";
import type { SentPicture } from "./sent_picture";

export interface Device {
  id: string;
  label: string;
}

/** A picture with its sound, and the devices they are of; of a screen those to come back to. */
export interface Source extends Devices {
  stream: MediaStream;
  isScreen: boolean;
}

interface Devices {
  cameraId: string;
  microphoneId: string;
}

export interface Camera {
  source: Source | null;
  error: string | null;
  cameras: Device[];
  microphones: Device[];
  microphoneId: string;
  /** Opens camera and microphone (again); null when it failed. */
  open: (choice?: Partial<Devices>) => Promise<Source | null>;
  openScreen: () => Promise<void>;
  close: () => void;
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

/** Another device stands in for one that was unplugged, and for that one alone. */
async function dropUnplugged({ cameraId, microphoneId }: Devices): Promise<Devices> {
  const present = (await navigator.mediaDevices.enumerateDevices()).map((device) => device.deviceId);
  const keep = (id: string) => (present.includes(id) ? id : "");
  return { cameraId: keep(cameraId), microphoneId: keep(microphoneId) };
}

async function openDevices(choice: Devices, picture: SentPicture): Promise<MediaStream> {
  const video = constrain(choice.cameraId, askFor(picture));
  const audio = constrain(choice.microphoneId, { echoCancellation: true });
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio });
  } catch (error) {
    const name = error instanceof Error ? error.name : "";
    const left = name === "OverconstrainedError" ? await dropUnplugged(choice) : choice;
    if (left.cameraId !== choice.cameraId || left.microphoneId !== choice.microphoneId) {
      return openDevices(left, picture);
    }
    // Without a microphone the picture alone still makes a broadcast.
    if (name !== "NotFoundError") throw error;
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
  /** What a running broadcast sends already: it is gone on with as if it had been opened here. */
  running: Source | null;
  /** What to ask a camera for that is about to be opened. */
  readPicture: () => SentPicture;
  /** Hears of every new source, so that a running broadcast can take its tracks. */
  onReplaced: (source: Source) => void;
}

export function useCamera({ running, readPicture, onReplaced }: CameraOwner): Camera {
  const [source, setSource] = useState(running);
  const [error, setError] = useState<string | null>(null);
  const [devices, setDevices] = useState<MediaDeviceInfo[]>([]);
  const latest = useRef(running);
  const openings = useRef(new Openings());
  // What was closed opens again as it was.
  const chosen = useRef<Devices>(running ?? { cameraId: "", microphoneId: "" });
  const show = useCallback((next: Source | null) => {
    latest.current = next;
    if (next) chosen.current = next;
    setSource(next);
  }, []);
  const listDevices = async () => setDevices((await navigator.mediaDevices?.enumerateDevices?.()) ?? []);
  const take = async (next: Source) => {
    // Before anybody hears of it: a broadcast puts the new tracks into the old stream.
    const old = latest.current?.stream.getTracks() ?? [];
    show(next);
    setError(null);
    onReplaced(next);
    old.forEach((track) => !next.stream.getTracks().includes(track) && track.stop());
    await listDevices();
    return next;
  };
  const open = async (choice: Partial<Devices> = {}) => {
    if (!navigator.mediaDevices) {
      setError("Cameras need a secure address: open this page by https or on localhost.");
      return null;
    }
    try {
      const stream = await openings.current.wait(openDevices({ ...chosen.current, ...choice }, readPicture()));
      if (!stream) return null;
      const cameraId = readDevice(stream.getVideoTracks());
      return await take({ stream, isScreen: false, cameraId, microphoneId: readDevice(stream.getAudioTracks()) });
    } catch (failure) {
      setError(describeMediaError(failure));
      return null;
    }
  };
  const openScreen = async () => {
    const { cameraId, microphoneId } = chosen.current;
    const opening = openScreenStream(latest.current?.stream.getAudioTracks() ?? []);
    const stream = await openings.current.wait(opening).catch(() => null);
    if (!stream) return;
    const next = { stream, isScreen: true, cameraId, microphoneId };
    comeBackFrom(next);
    await take(next);
  };
  /** Whoever stops sharing in the browser's own bar gets the camera back. */
  const comeBackFrom = ({ stream }: Source) => {
    const [picture] = stream.getVideoTracks();
    // A property has one owner: the page that shows the screen now, not one that was left, too.
    if (picture) picture.onended = () => latest.current?.stream === stream && void open();
  };
  useEffect(() => {
    if (!running) return;
    if (running.isScreen) comeBackFrom(running);
    void listDevices();
  }, []);
  const close = useCallback(() => {
    openings.current.close();
    latest.current?.stream.getTracks().forEach((track) => track.stop());
    show(null);
  }, []);
  return {
    source,
    error,
    cameras: readDevices(devices, "videoinput", "Camera"),
    microphones: readDevices(devices, "audioinput", "Microphone"),
    microphoneId: source?.microphoneId ?? "",
    open,
    openScreen,
    close,
  };
}

function readDevice(tracks: MediaStreamTrack[]): string {
  return tracks[0]?.getSettings().deviceId ?? "";
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
