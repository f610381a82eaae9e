/** The monitor: what the camera sees, with safe-area marks, and the choice of devices. */
import { useEffect, useRef } from "preact/hooks";
import { Field } from "../kit/field";
import { Icon } from "../kit/icons";
import { TestCard } from "../kit/test_card";
import type { Camera, Device } from "./camera";
import { SeveralField } from "./qualities";
import { SentPictureField } from "./sent_picture";

interface PreviewProps {
  camera: Camera;
  lamp: "standby" | "live" | "lost" | "ended";
}

export function Preview({ camera, lamp }: PreviewProps) {
  const video = useRef<HTMLVideoElement>(null);
  const stream = camera.source?.stream ?? null;
  useEffect(() => {
    if (video.current) video.current.srcObject = stream;
  }, [stream]);
  if (lamp === "ended") {
    return (
      <div class="monitor ended">
        <TestCard label="Off air" />
      </div>
    );
  }
  return (
    <div class={`monitor ${lamp}`}>
      {/* The picture is our own: it stays silent here. */}
      <video
        ref={video}
        class={camera.source?.isScreen ? "" : "mirrored"}
        data-testid="live-preview"
        autoplay
        muted
        playsInline
        aria-label="Preview of your picture"
        hidden={stream === null}
      />
      {stream === null ? (
        <>
          <TestCard label="No picture" />
          <div class="monitor-start">
            {camera.error && (
              <p role="alert" data-testid="error-state">
                {camera.error}
              </p>
            )}
            <button type="button" class="button primary" data-testid="camera-on" onClick={() => void camera.open()}>
              <Icon name="camera" size={20} /> {camera.error ? "Try the camera again" : "Turn the camera on"}
            </button>
          </div>
        </>
      ) : (
        <span class="monitor-marks" aria-hidden="true" />
      )}
    </div>
  );
}

interface DeviceChoiceProps {
  camera: Camera;
  onPicture: () => void;
}

export function DeviceChoice({ camera, onPicture }: DeviceChoiceProps) {
  if (camera.source === null) return null;
  const { isScreen, cameraId } = camera.source;
  return (
    <div class="devices">
      <DeviceField
        label="Camera"
        devices={camera.cameras}
        value={isScreen ? "" : cameraId}
        onChoose={(cameraId) => void camera.open({ cameraId })}
      />
      <DeviceField
        label="Microphone"
        devices={camera.microphones}
        value={camera.microphoneId}
        onChoose={(microphoneId) => void camera.open({ microphoneId })}
      />
      <SentPictureField onChoose={onPicture} />
      {"getDisplayMedia" in navigator.mediaDevices && (
        <button
          type="button"
          class="button"
          aria-pressed={isScreen}
          onClick={() => void (isScreen ? camera.open() : camera.openScreen())}
        >
          <Icon name={isScreen ? "camera" : "screen"} size={20} />
          {isScreen ? "Back to the camera" : "Show the screen"}
        </button>
      )}
      <SeveralField />
    </div>
  );
}

interface DeviceFieldProps {
  label: string;
  devices: Device[];
  value: string;
  onChoose: (id: string) => void;
}

function DeviceField({ label, devices, value, onChoose }: DeviceFieldProps) {
  if (devices.length === 0) return null;
  const isKnown = devices.some((device) => device.id === value);
  return (
    <Field label={label}>
      {(props) => (
        <select {...props} class="input" value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
          {!isKnown && <option value={value}>Present choice</option>}
          {devices.map((device) => (
            <option key={device.id} value={device.id}>
              {device.label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
