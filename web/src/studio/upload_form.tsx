/** Choosing a file (or dropping one), naming it, sending it. */
import { useId, useRef, useState } from "preact/hooks";
import { describeError, findFieldError } from "../kit/errors";
import { Field, TextField } from "../kit/field";
import { Icon } from "../kit/icons";
import { formatBytes } from "../kit/words";
import { writeLocal } from "../live/schedule";
import { readPublishAt } from "../videos/publication";
import { VISIBILITIES, type Visibility } from "../videos/shapes";
import { ProtectionField, type IsProtected } from "./protection_field";
import { PublishField } from "./publish_field";
import { nameFromFile, TITLE_MAX, type BegunChoice, type Chosen, type UploadChoice } from "./upload_choice";
import { recallChoice, startBatch, startUpload } from "./uploads";

const ACCEPTED = "video/*,audio/*,.mkv,.avi,.mov,.webm,.mp4";

export function UploadForm({ onStarted }: { onStarted: (videoId: string) => void }) {
  const [files, setFiles] = useState<File[]>([]);
  const [title, setTitle] = useState("");
  const how = useHow();
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);
  const latest = useRef<File[]>([]);
  const proposed = useRef("");
  const propose = (next: string) => {
    const last = proposed.current;
    proposed.current = next;
    setTitle((typed) => (typed === "" || typed === last ? next : typed));
  };
  const file = files.length === 1 ? (files[0] ?? null) : null;
  const choose = (next: File[]) => {
    const [only] = next;
    if (!only) return;
    propose(nameFromFile(only.name));
    latest.current = next;
    setFiles(next);
    setFailure(null);
    how.recall(null);
    if (next.length > 1) return;
    void recallChoice(only).then((begun) => {
      if (begun === null || latest.current !== next) return;
      how.recall(begun);
      propose(begun.title);
    });
  };
  const empty = () => {
    latest.current = [];
    proposed.current = "";
    setFiles([]);
    setTitle("");
    how.empty();
  };
  const send = async () => {
    const chosen = how.read();
    if (chosen === null) return;
    if (files.length > 1) {
      startBatch(files.map((each) => ({ file: each, title: null, ...chosen })));
      return empty();
    }
    if (!file || isBusy) return;
    setBusy(true);
    setFailure(null);
    try {
      const name = title.trim();
      const isNamed = name !== "" && title !== proposed.current;
      const all = isNamed ? new Set([...chosen.chosen, "title" as const]) : chosen.chosen;
      onStarted(await startUpload({ file, title: name || nameFromFile(file.name), ...chosen, chosen: all }));
      empty();
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
      <h2 id="upload-heading">Upload videos</h2>
      <FileChoice files={files} onChoose={choose} />
      {files.length > 1 ? (
        <p class="muted">Each is named after its file. You can change that any time.</p>
      ) : (
        <TextField
          label="Title"
          problem={titleProblem}
          maxLength={TITLE_MAX}
          value={title}
          testId="upload-title"
          onChange={setTitle}
        />
      )}
      {how.isBegun && (
        <p class="muted" role="status" data-testid="upload-begun">
          This was begun before. It goes on where it stopped, and becomes as it is chosen here.
        </p>
      )}
      <VisibilityField value={how.visibility} onChange={how.setVisibility} />
      <ProtectionField value={how.isProtected} onChange={how.setProtected} />
      {how.visibility !== "private" && (
        <PublishField value={how.later} problem={how.timeProblem} onChange={how.setLater} />
      )}
      {failure !== null && !titleProblem && (
        <p class="problem" role="alert">
          {describeError(failure)}
        </p>
      )}
      <button type="submit" class="button primary wide" disabled={files.length === 0 || isBusy} data-testid="upload-submit">
        <Icon name="upload" size={20} /> {isBusy ? "Starting…" : files.length > 1 ? `Upload ${files.length} videos` : "Upload"}
      </button>
    </form>
  );
}

type How = Omit<UploadChoice, "file" | "title">;

/** Who may watch, from when on and how protected: what the form says, until it is touched as it was begun before. */
function useHow() {
  const [visibility, setVisibility] = useState<Visibility>("public");
  const [isProtected, setProtected] = useState<IsProtected>(null);
  const [later, setLater] = useState<string | null>(null);
  const [timeProblem, setTimeProblem] = useState<string | null>(null);
  const [isBegun, setBegun] = useState(false);
  const touched = useRef(new Set<Chosen>());
  const touch = <T,>(name: Chosen, set: (value: T) => void) => (value: T) => {
    touched.current.add(name);
    setTimeProblem(null);
    set(value);
  };
  return {
    visibility,
    isProtected,
    later,
    timeProblem,
    isBegun,
    setVisibility: touch("visibility", setVisibility),
    setProtected: touch("isProtected", setProtected),
    setLater: touch("publishAt", setLater),
    /** Null when the time is wrong, which it then says. */
    read: (): How | null => {
      const read = readPublishAt(visibility === "private" ? null : later, Date.now());
      if (!("problem" in read)) return { visibility, publishAt: read.at, isProtected, chosen: new Set(touched.current) };
      setTimeProblem(read.problem);
      return null;
    },
    /** Null: what is chosen was not begun before, as far as is known. */
    recall: (begun: BegunChoice | null) => {
      setBegun(begun !== null);
      if (begun === null) return;
      const isOpen = (name: Chosen) => !touched.current.has(name);
      if (isOpen("visibility")) setVisibility(begun.visibility);
      if (isOpen("isProtected")) setProtected(begun.isProtected);
      if (isOpen("publishAt")) setLater(begun.publishAt && writeLocal(Date.parse(begun.publishAt)));
    },
    /** As it was at first: what was chosen for one file is not chosen for the next. */
    empty: () => {
      touched.current.clear();
      setBegun(false);
      setVisibility("public");
      setProtected(null);
      setLater(null);
      setTimeProblem(null);
    },
  };
}

function FileChoice({ files, onChoose }: { files: readonly File[]; onChoose: (files: File[]) => void }) {
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
        onChoose([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      <input
        ref={input}
        id={id}
        class="visually-hidden"
        type="file"
        multiple
        accept={ACCEPTED}
        data-testid="upload-file"
        onChange={(event) => onChoose([...(event.currentTarget.files ?? [])])}
      />
      <label for={id}>
        <Icon name="camera" size={28} />
        {files.length > 0 ? (
          <span>
            <strong class="drop-name">{files.length > 1 ? `${files.length} files` : files[0]?.name}</strong>
            <span class="data muted">
              {formatBytes(files.reduce((sum, each) => sum + each.size, 0))} / choose{" "}
              {files.length > 1 ? "others" : "another"}
            </span>
          </span>
        ) : (
          <span>
            <strong>Choose video or sound files</strong>
            <span class="data muted">or drop them here. MP4, MOV, AVI, MKV, WebM, MP3, WAV, FLAC</span>
          </span>
        )}
      </label>
    </div>
  );
}

interface VisibilityProps {
  label?: string;
  /** Leaves out what nobody else could watch. */
  isPublished?: boolean;
  value: Visibility;
  onChange: (next: Visibility) => void;
}

export function VisibilityField({ label = "Who can watch", isPublished = false, value, onChange }: VisibilityProps) {
  return (
    <Field label={label} hint={VISIBILITIES.find((known) => known.value === value)?.hint}>
      {(props) => (
        <select
          {...props}
          class="input"
          value={value}
          onChange={(event) => onChange(event.currentTarget.value as Visibility)}
        >
          {VISIBILITIES.filter((known) => !isPublished || known.value !== "private").map((known) => (
            <option key={known.value} value={known.value}>
              {known.label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
