/** Has a ready or failed video made again with other settings; what plays now goes on until the new one is whole. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { Dialog } from "../kit/dialog";
import { describeError } from "../kit/errors";
import { Field } from "../kit/field";
import { useNeeded } from "../kit/load";
import { showToast } from "../kit/toasts";
import type { Recipe, Video } from "../videos/shapes";
import "./reencode_dialog.css";

interface Choice {
  qualities: string[];
  /** Those the site has encoders for. */
  codecs: string[];
  has_sound: boolean;
  current: Recipe;
  site: Recipe;
}

const CODEC_NAMES: Record<string, string> = {
  av1: "AV1: fewest bytes, plays in current browsers",
  vp9: "VP9: few bytes, plays in most browsers, takes longest to make",
  hevc: "HEVC: few bytes, plays on Apple devices and many televisions",
};

interface ReencodeProps {
  video: Video;
  onAsked: (part: Partial<Video>) => void;
  onClose: () => void;
}

/** Opens once it is known what there is to choose. */
export function ReencodeDialog({ video, onAsked, onClose }: ReencodeProps) {
  const choice = useNeeded<Choice>(`/videos/${video.id}/reencode`, onClose);
  return choice && <ReencodeForm video={video} choice={choice} onAsked={onAsked} onClose={onClose} />;
}

function ReencodeForm({ video, choice, onAsked, onClose }: ReencodeProps & { choice: Choice }) {
  const [recipe, setRecipe] = useState(choice.current);
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const plays = video.status === "ready";
  const ask = async () => {
    setBusy(true);
    setProblem(null);
    try {
      onAsked(await api.post<Video>(`/videos/${video.id}/reencode`, recipe));
      showToast("It waits for its turn.");
      onClose();
    } catch (error) {
      setProblem(describeError(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title="Make it again" onClose={onClose}>
      <form
        class="stack reencode"
        onSubmit={(event) => {
          event.preventDefault();
          void ask();
        }}
      >
        <p>
          {plays
            ? "A new version is made from the file you uploaded. This one plays on until the new one is whole."
            : "It is made from the file you uploaded."}
        </p>
        {choice.qualities.length > 0 && (
          <Field label="Largest size" hint="Smaller sizes are made below it.">
            {(control) => (
              <select
                {...control}
                class="input"
                data-testid="reencode-quality"
                value={recipe.quality_max ?? ""}
                onChange={(event) => setRecipe({ ...recipe, quality_max: event.currentTarget.value || null })}
              >
                <option value="">As the file</option>
                {choice.qualities.map((quality) => (
                  <option key={quality} value={quality}>
                    {quality}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
        {choice.codecs.length > 0 && (
          <fieldset>
            <legend>Other codecs, beside H.264 that plays everywhere</legend>
            {choice.codecs.map((codec) => (
              <label key={codec} class="row tight">
                <input
                  type="checkbox"
                  checked={recipe.codecs.includes(codec)}
                  disabled={recipe.protected}
                  data-testid={`reencode-${codec}`}
                  onChange={(event) => setRecipe(withCodec(recipe, codec, event.currentTarget.checked))}
                />
                <span>{CODEC_NAMES[codec] ?? codec}</span>
              </label>
            ))}
          </fieldset>
        )}
        {choice.has_sound && (
          <label class="row tight">
            <input
              type="checkbox"
              checked={recipe.evens_loudness}
              data-testid="reencode-loudness"
              onChange={(event) => setRecipe({ ...recipe, evens_loudness: event.currentTarget.checked })}
            />
            <span>Make its sound as loud as that of others</span>
          </label>
        )}
        <label class="row tight">
          <input
            type="checkbox"
            checked={recipe.protected}
            data-testid="reencode-protected"
            onChange={(event) => setRecipe(withProtection(recipe, event.currentTarget.checked))}
          />
          <span>Encrypt it: only whoever may watch gets its keys; H.264 alone, no download</span>
        </label>
        {problem && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <div class="row dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary" disabled={isBusy} data-testid="reencode">
            Make it again
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function withProtection(recipe: Recipe, isProtected: boolean): Recipe {
  return { ...recipe, protected: isProtected, codecs: isProtected ? [] : recipe.codecs };
}

function withCodec(recipe: Recipe, codec: string, isWanted: boolean): Recipe {
  const others = recipe.codecs.filter((known) => known !== codec);
  return { ...recipe, codecs: isWanted ? [...others, codec] : others };
}
