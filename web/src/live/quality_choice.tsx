/** The choice of quality; shown only where the live comes in more than one. */
import { useId } from "preact/hooks";
import { Icon } from "../kit/icons";
import { nameLayer, type LayerChoice } from "../kit/layers";
import { useStore, type Store } from "../kit/store";

const AUTO = "";

/** `LayerMenu` by WebRTC, `LevelMenu` by HLS. */
interface QualityMenu {
  readonly state: Store<LayerChoice>;
  look(): Promise<void>;
  choose(encodingId: string | null): Promise<void>;
}

export function QualityChoice({ menu }: { menu: QualityMenu }) {
  const id = useId();
  const { layers, playing, chosen } = useStore(menu.state);
  if (layers.length < 2) return null;
  const shown = layers.find((layer) => layer.encodingId === playing);
  return (
    <span class="player-quality">
      <label class="visually-hidden" for={id}>
        Quality
      </label>
      <Icon name="quality" size={18} />
      <select
        id={id}
        data-testid="live-quality"
        data-playing={playing ?? ""}
        value={chosen ?? AUTO}
        onPointerDown={() => void menu.look()}
        onChange={(event) => void menu.choose(event.currentTarget.value || null)}
      >
        <option value={AUTO}>{shown ? `Auto (${nameLayer(shown)})` : "Auto"}</option>
        {layers.map((layer) => (
          <option key={layer.encodingId} value={layer.encodingId} disabled={!layer.active}>
            {layer.active ? nameLayer(layer) : `${nameLayer(layer)}, not sent now`}
          </option>
        ))}
      </select>
    </span>
  );
}
