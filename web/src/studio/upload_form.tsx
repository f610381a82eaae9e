/** Choosing a file (or dropping one), naming it, sending it. */
import { useId, useRef, useState } from "preact/hooks";
import { describeError, findFieldError } from "../kit/errors";
import { Field, TextField } from "../kit/field";
import { Icon } from "../kit/icons";
import { formatBytes } from "../kit/words";
import { VISIBILITIES, type Visibility } from "../videos/shapes";
import { startUpload } from "./uploads";

const TITLE_MAX = 200;
const ACCEPTED = "video/*,.mkv,.avi,.mov,.webm,.mp4";

/** A title from a file name: no ending, no underscores. */
export function nameFromFile(filename: string): string {
  const stem = filename
    .replace(/\.[^.]+$/, "")
    .replace(/[_]+/g, " ")
    .trim();
  return (stem || filename).slice(0, TITLE_MAX);
}

export function UploadForm({ onStarted }: { onStarted: (videoId: string) => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [title, setTitle] = useState("");
  const [visibility, setVisibility] = useState<Visibility>("public");
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);
  const choose = (next: File | null) => {
    if (!next) return;
    if (title === "" || (file && title === nameFromFile(file.name))) setTitle(nameFromFile(next.name));
    setFile(next);
    setFailure(null);
  };
  const send = async () => {
    if (!file || isBusy) return;
    setBusy(true);
    setFailure(null);
    try {
      onStarted(await startUpload({ file, title: title.trim() || nameFromFile(file.name), visibility }));
      setFile(null);
      setTitle("");
    } catch (error) {
      setFailure(error);
    } finally {
      setBusy(false);
    }
  };
  const titleProblem = findFieldError(failure, "title");
  return (
    <form
      class="upload card"
      aria-labelledby="upload-heading"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <h2 id="upload-heading">Upload a video</h2>
      <FileChoice file={file} onChoose={choose} />
      <TextField
        label="Title"
        problem={titleProblem}
        maxLength={TITLE_MAX}
        value={title}
        testId="upload-title"
        onChange={setTitle}
      />
      <VisibilityField value={visibility} onChange={setVisibility} />
      {failure !== null && !titleProblem && (
        <p class="problem" role="alert">
          {describeError(failure)}
        </p>
      )}
      <button type="submit" class="button primary wide" disabled={!file || isBusy} data-testid="upload-submit">
        <Icon name="upload" size={20} /> {isBusy ? "Starting…" : "Upload"}
      </button>
    </form>
  );
}

function FileChoice({ file, onChoose }: { file: File | null; onChoose: (file: File | null) => void }) {
  const id = useId();
  const [isOver, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  return (
    <div
      class={isOver ? "drop over" : "drop"}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        onChoose(event.dataTransfer?.files[0] ?? null);
      }}
    >
      <input
        ref={input}
        id={id}
        class="visually-hidden"
        type="file"
        accept={ACCEPTED}
        data-testid="upload-file"
        onChange={(event) => onChoose(event.currentTarget.files?.[0] ?? null)}
      />
      <label for={id}>
        <Icon name="camera" size={28} />
        {file ? (
          <span>
            <strong class="drop-name">{file.name}</strong>
            <span class="data muted">{formatBytes(file.size)} / choose another</span>
          </span>
        ) : (
          <span>
            <strong>Choose a video file</strong>
            <span class="data muted">or drop one here. MP4, MOV, AVI, MKV, WebM</span>
          </span>
        )}
      </label>
    </div>
  );
}

export function VisibilityField({ value, onChange }: { value: Visibility; onChange: (next: Visibility) => void }) {
  return (
    <Field label="Who can watch" hint={VISIBILITIES.find((known) => known.value === value)?.hint}>
      {(props) => (
        <select
          {...props}
          class="input"
          value={value}
          onChange={(event) => onChange(event.currentTarget.value as Visibility)}
        >
          {VISIBILITIES.map((known) => (
            <option key={known.value} value={known.value}>
              {known.label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
