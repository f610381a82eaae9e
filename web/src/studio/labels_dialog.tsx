/** What a video is about: tags, category, language, and its chapters as lines of time and title. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { Dialog } from "../kit/dialog";
import { describeError } from "../kit/errors";
import { Field, TextField } from "../kit/field";
import { useNeeded } from "../kit/load";
import type { Video } from "../videos/shapes";
import { CATEGORIES, readChapters, readTags, writeChapters } from "./labels";

interface LabelsProps {
  video: Video;
  onSaved: (part: Partial<Video>) => void;
  onClose: () => void;
}

/** Opens once the video's chapters have come. */
export function LabelsDialog({ video, onSaved, onClose }: LabelsProps) {
  const detail = useNeeded<Video>(`/videos/${video.id}`, onClose);
  return detail && <LabelsForm video={detail} onSaved={onSaved} onClose={onClose} />;
}

function LabelsForm({ video, onSaved, onClose }: LabelsProps) {
  const [tags, setTags] = useState(video.tags.join(", "));
  const [category, setCategory] = useState(video.category ?? "");
  const [language, setLanguage] = useState(video.language ?? "");
  const [chapters, setChapters] = useState(writeChapters(video.chapters ?? []));
  const [problem, setProblem] = useState<string | null>(null);
  const save = async () => {
    const read = readChapters(chapters);
    if (read === null) return setProblem("Each chapter is a line: a time, then a title, as 1:30 The harbour.");
    try {
      const change = { tags: readTags(tags), category, language: language.trim() };
      const hasChanged = chapters !== writeChapters(video.chapters ?? []);
      onSaved(await api.patch<Video>(`/videos/${video.id}`, { ...change, ...(hasChanged ? { chapters: read } : {}) }));
      onClose();
    } catch (error) {
      setProblem(describeError(error));
    }
  };
  return (
    <Dialog title="Tags and chapters" onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <TextField label="Tags" hint="Up to 15, with commas between." value={tags} onChange={setTags} />
        <Field label="Category">
          {(props) => (
            <select
              {...props}
              class="input"
              value={category}
              onChange={(event) => setCategory(event.currentTarget.value)}
            >
              <option value="">None</option>
              {CATEGORIES.map((known) => (
                <option key={known} value={known}>
                  {known}
                </option>
              ))}
            </select>
          )}
        </Field>
        <TextField
          label="Language"
          hint="As a code: en, de, pt-BR."
          isProse={false}
          maxLength={35}
          value={language}
          onChange={setLanguage}
        />
        <Field label="Chapters" hint="Empty: as the description lists them." problem={problem}>
          {(props) => (
            <textarea
              {...props}
              class="input"
              rows={5}
              placeholder={"0:00 Start\n1:30 The harbour"}
              value={chapters}
              onInput={(event) => setChapters(event.currentTarget.value)}
            />
          )}
        </Field>
        <div class="row dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary">
            Save
          </button>
        </div>
      </form>
    </Dialog>
  );
}
