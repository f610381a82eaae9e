/** Which language is read along; nothing where the video has none. */
import { useId } from "preact/hooks";
import { Icon } from "../kit/icons";
import type { EngineState, PlayerEngine } from "./engine";

export function Captions({ engine, state }: { engine: PlayerEngine | null; state: EngineState }) {
  const id = useId();
  if (state.languages.length === 0) return null;
  return (
    <span class="player-quality">
      <label class="visually-hidden" for={id}>
        Captions
      </label>
      <Icon name="captions" size={18} />
      <select
        id={id}
        data-testid="captions"
        value={String(state.language)}
        onChange={(event) => engine?.readAlong(Number(event.currentTarget.value))}
      >
        <option value="-1">Off</option>
        {state.languages.map((language) => (
          <option key={language.index} value={String(language.index)}>
            {language.label}
          </option>
        ))}
      </select>
    </span>
  );
}
