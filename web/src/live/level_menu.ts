/**
 * The qualities of a live by HLS: hls.js' levels, the viewer's choice, which is kept when the live is
 * opened anew. Who seeks back gets the source: smaller pictures go back a minute alone.
 */
import type Hls from "hls.js";
import type { LayerChoice } from "../kit/layers";
import { Store } from "../kit/store";
import { offerLevels } from "../player/quality";

const NOTHING: LayerChoice = { layers: [], playing: null, chosen: null };
const AUTO = -1;
/** Smaller pictures reach back seventy seconds, less what is loaded ahead of time. */
export const SOURCE_BEHIND_S = 40;

/** What is used of hls.js. */
export type Levels = Pick<Hls, "levels" | "nextLevel" | "startLevel">;

export class LevelMenu {
  readonly state = new Store<LayerChoice>(NOTHING);
  #hls: Levels | null = null;
  /** The index of each size on offer. */
  #indexes = new Map<string, number>();
  #shown = new Map<number, number>();
  #wish: string | null = null;
  #isPinned = false;

  /** The list of variants is there: begins with the largest, or what was chosen before. */
  follow(hls: Levels): void {
    const { levels, shown } = offerLevels(hls.levels);
    this.#hls = hls;
    this.#shown = shown;
    this.#isPinned = false;
    const offered = levels.map(({ index, label }) => {
      const { width, height, bitrate } = hls.levels[index]!;
      return { encodingId: label, width, height, bitrate, active: true };
    });
    this.#indexes = new Map(levels.map(({ index, label }) => [label, index]));
    offered.sort((a, b) => b.width * b.height - a.width * a.height);
    const chosen = this.#wish !== null && this.#indexes.has(this.#wish) ? this.#wish : null;
    this.state.set({ layers: offered, playing: null, chosen });
    const first = this.#indexes.get(chosen ?? offered[0]?.encodingId ?? "");
    if (first === undefined || levels.length < 2) return;
    hls.startLevel = first;
    if (chosen !== null) hls.nextLevel = first;
  }

  /** Another level plays. */
  notePlaying(level: number): void {
    const index = this.#shown.get(level) ?? level;
    const [playing] = [...this.#indexes].find(([, known]) => known === index) ?? [null];
    this.state.set({ ...this.state.get(), playing });
  }

  /** Shows one quality, or with null what the connection carries. */
  choose(encodingId: string | null): Promise<void> {
    this.#wish = encodingId;
    this.state.set({ ...this.state.get(), chosen: encodingId });
    this.#apply();
    return Promise.resolve();
  }

  /** The size that plays is not made any more: hls.js takes another one, as the connection says. */
  noteOver(): void {
    this.state.set({ ...this.state.get(), chosen: null });
  }

  /** How far behind the live end somebody watches. */
  noteBehind(behindS: number): void {
    const isPinned = behindS > SOURCE_BEHIND_S && this.#indexes.size > 1;
    if (isPinned === this.#isPinned) return;
    this.#isPinned = isPinned;
    this.#apply();
  }

  /** hls.js says by itself what plays. */
  look(): Promise<void> {
    return Promise.resolve();
  }

  #apply(): void {
    if (this.#hls === null) return;
    const { layers, chosen } = this.state.get();
    const wish = this.#isPinned ? layers[0]?.encodingId : chosen;
    this.#hls.nextLevel = this.#indexes.get(wish ?? "") ?? AUTO;
  }
}
