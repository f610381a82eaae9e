/** Fetching a video from an address on the open internet, instead of sending it. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { describeError, findFieldError } from "../kit/errors";
import { TextField } from "../kit/field";
import { showToast } from "../kit/toasts";
import { readPublishAt } from "../videos/publication";
import type { Video, Visibility } from "../videos/shapes";
import { ProtectionField, type IsProtected } from "./protection_field";
import { PublishField } from "./publish_field";
import { nameFromFile } from "./upload_choice";
import { VisibilityField } from "./upload_form";

/** A title from the last part of an address; empty while it is none. */
export function nameFromAddress(address: string): string {
  if (!URL.canParse(address)) return "";
  const last = new URL(address).pathname.split("/").filter(Boolean).pop() ?? "";
  try {
    return nameFromFile(decodeURIComponent(last));
  } catch {
    return nameFromFile(last);
  }
}

export function ImportForm({ onStarted }: { onStarted: () => void }) {
  const [url, setUrl] = useState("");
  const [title, setTitle] = useState("");
  const [visibility, setVisibility] = useState<Visibility>("public");
  const [isProtected, setProtected] = useState<IsProtected>(null);
  const [later, setLater] = useState<string | null>(null);
  const [timeProblem, setTimeProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);
  const named = title.trim() || nameFromAddress(url.trim());
  const changeLater = (text: string | null) => {
    setLater(text);
    setTimeProblem(null);
  };
  const send = async () => {
    const read = readPublishAt(visibility === "private" ? null : later, Date.now());
    if ("problem" in read) return setTimeProblem(read.problem);
    setBusy(true);
    setFailure(null);
    try {
      await api.post<Video>("/videos/import", {
        url: url.trim(),
        title: named,
        visibility,
        publish_at: read.at,
        protected: isProtected,
      });
      setUrl("");
      setTitle("");
      changeLater(null);
      showToast("It is being fetched.");
      onStarted();
    } catch (error) {
      setFailure(error);
    }
    setBusy(false);
  };
  const urlProblem = findFieldError(failure, "url") ?? (failure === null ? null : describeError(failure));
  return (
    <details class="upload card import-form">
      <summary>Import from an address</summary>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (named !== "" && !isBusy) void send();
        }}
      >
        <TextField
          label="Address of the file"
          type="url"
          problem={urlProblem}
          maxLength={2048}
          value={url}
          testId="import-url"
          onChange={setUrl}
        />
        <TextField
          label="Title"
          placeholder={nameFromAddress(url.trim())}
          maxLength={200}
          value={title}
          testId="import-title"
          onChange={setTitle}
        />
        <VisibilityField value={visibility} onChange={setVisibility} />
        <ProtectionField value={isProtected} onChange={setProtected} />
        {visibility !== "private" && <PublishField value={later} problem={timeProblem} onChange={changeLater} />}
        <button type="submit" class="button wide" disabled={named === "" || isBusy} data-testid="import-submit">
          {isBusy ? "Asking…" : "Import"}
        </button>
      </form>
    </details>
  );
}
