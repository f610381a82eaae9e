/** The languages in which a video can be read along: add a file, replace it, remove it. */
import { useId, useRef, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Dialog } from "../kit/dialog";
import { describeError } from "../kit/errors";
import { Field } from "../kit/field";
import { Icon } from "../kit/icons";
import { useKeptPlace } from "../kit/kept_place";
import { useLoad } from "../kit/load";
import { Failure, Skeleton } from "../kit/states";
import type { Video } from "../videos/shapes";
import "./subtitles_dialog.css";

interface Subtitles {
  language: string;
  label: string;
  origin: "uploaded" | "automatic";
}
interface List {
  items: Subtitles[];
}

const OFFERED = "en de fr es it pt nl pl sv da no fi cs el tr ru uk ar he hi zh ja ko vi id".split(" ");

/** A language's name in itself, as its readers look for it. */
export function nameLanguage(code: string): string {
  const name = new Intl.DisplayNames([code], { type: "language" }).of(code) ?? code;
  return name.charAt(0).toLocaleUpperCase(code) + name.slice(1);
}

/** UTF-8, or what older tools wrote. */
export function decodeText(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

export function SubtitlesDialog({ video, onClose }: { video: Video; onClose: () => void }) {
  const path = `/videos/${video.id}/subtitles`;
  const list = useLoad<List>(path, (signal) => api.get(path, { signal }));
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const run = async (act: () => Promise<unknown>) => {
    setBusy(true);
    setProblem(null);
    try {
      await act();
      list.reload();
    } catch (error) {
      setProblem(describeError(error));
    }
    setBusy(false);
  };
  const items = list.data?.items ?? [];
  const root = useRef<HTMLDivElement>(null);
  const keepPlace = useKeptPlace(root, items.length, ".languages button, select");
  return (
    <Dialog title="Subtitles" onClose={onClose}>
      <div ref={root} class="stack">
        {list.error !== null && <Failure error={list.error} onRetry={list.reload} />}
        {list.loading && !list.data && <Skeleton shape="row" count={1} />}
        {list.data && items.length === 0 && <p class="muted">Nobody can read along yet. Add a language.</p>}
        <ul class="languages" data-testid="languages">
          {items.map((item, index) => (
            <li key={item.language} class="row spread">
              <span>
                {item.label} <span class="data muted">{item.language}</span>
                {item.origin === "automatic" && <span class="chip">automatic</span>}
              </span>
              <button
                type="button"
                class="icon-button"
                aria-label={`Remove ${item.label}`}
                disabled={isBusy}
                onClick={() => {
                  keepPlace(index);
                  void run(() => api.delete(`${path}/${item.language}`));
                }}
              >
                <Icon name="trash" size={20} />
              </button>
            </li>
          ))}
        </ul>
        <AddLanguage
          problem={problem}
          isBusy={isBusy}
          onAdd={(language, file) =>
            run(async () => {
              const text = decodeText(await file.arrayBuffer());
              await api.put(`${path}/${language}`, { label: nameLanguage(language), text });
            })
          }
        />
      </div>
    </Dialog>
  );
}

interface AddProps {
  problem: string | null;
  isBusy: boolean;
  onAdd: (language: string, file: File) => void;
}

function AddLanguage({ problem, isBusy, onAdd }: AddProps) {
  const [language, setLanguage] = useState("en");
  const fileId = useId();
  return (
    <div class="stack">
      <Field label="Language" problem={problem}>
        {(props) => (
          <select
            {...props}
            class="input"
            value={language}
            onChange={(event) => setLanguage(event.currentTarget.value)}
          >
            {OFFERED.map((code) => (
              <option key={code} value={code}>
                {nameLanguage(code)}
              </option>
            ))}
          </select>
        )}
      </Field>
      <div class="row dialog-actions">
        <input
          id={fileId}
          class="visually-hidden file-behind"
          type="file"
          accept=".srt,.vtt,text/vtt"
          disabled={isBusy}
          data-testid="subtitles-file"
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            if (file) onAdd(language, file);
            event.currentTarget.value = "";
          }}
        />
        <label class="button primary" for={fileId}>
          {isBusy ? "Saving…" : "Choose an SRT or WebVTT file"}
        </label>
      </div>
    </div>
  );
}
