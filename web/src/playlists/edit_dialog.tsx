/** What a playlist is called, and who sees it. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { Dialog } from "../kit/dialog";
import { describeError } from "../kit/errors";
import { Field, TextField } from "../kit/field";
import { PLAYLIST_VISIBILITIES, type Playlist, type PlaylistVisibility } from "./playlists";

interface EditDialogProps {
  list: Playlist;
  onSaved: (list: Playlist) => void;
  onClose: () => void;
}

export function EditDialog({ list, onSaved, onClose }: EditDialogProps) {
  const [title, setTitle] = useState(list.title);
  const [description, setDescription] = useState(list.description);
  const [visibility, setVisibility] = useState(list.visibility);
  const [problem, setProblem] = useState<string | null>(null);
  const save = async () => {
    try {
      onSaved(await api.patch<Playlist>(`/playlists/${list.id}`, { title: title.trim(), description, visibility }));
      onClose();
    } catch (error) {
      setProblem(describeError(error));
    }
  };
  return (
    <Dialog title="Edit playlist" onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <TextField label="Title" problem={problem} required maxLength={150} value={title} onChange={setTitle} />
        <Field label="Description">
          {(props) => (
            <textarea
              {...props}
              class="input"
              maxLength={2000}
              value={description}
              onInput={(event) => setDescription(event.currentTarget.value)}
            />
          )}
        </Field>
        <Field label="Who sees it">
          {(props) => (
            <select
              {...props}
              class="input"
              value={visibility}
              onChange={(event) => setVisibility(event.currentTarget.value as PlaylistVisibility)}
            >
              {PLAYLIST_VISIBILITIES.map((known) => (
                <option key={known.value} value={known.value}>
                  {known.label}
                </option>
              ))}
            </select>
          )}
        </Field>
        <div class="row dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary" disabled={title.trim() === ""}>
            Save
          </button>
        </div>
      </form>
    </Dialog>
  );
}
