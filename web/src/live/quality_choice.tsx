/** The choice of quality; shown only where the host sends more than one. */
import { useId } from "preact/hooks";
import { Icon } from "../kit/icons";
import { nameLayer } from "../kit/layers";
import { useStore } from "../kit/store";
import type { LayerMenu } from "./layer_menu";

const AUTO = "";

export function QualityChoice({ menu }: { menu: LayerMenu }) {
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
