/**
 * The qualities of a live's WebRTC picture: which there are, which plays, the viewer's choice, which
 * is kept when the session is opened anew. Asks the edge seldom: what plays changes with the picture.
 */
import { waitMs } from "../kit/backoff";
import { readLayers, sendLayer, type LayerChoice } from "../kit/layers";
import { Store } from "../kit/store";

const NOTHING: LayerChoice = { layers: [], playing: null, chosen: null };
/** Rates and sizes are known a moment after the first picture. */
const FIRST_MS = [500, 2_500];
const EVERY_MS = 30_000;

export class LayerMenu {
  readonly state = new Store<LayerChoice>(NOTHING);
  #address: string | null = null;
  #wish: string | null = null;
  #ending = new AbortController();

  /** Follows another session; null: there is none. */
  follow(address: string | null): void {
    this.#ending.abort();
    this.#ending = new AbortController();
    this.#address = address;
    this.state.set(NOTHING);
    if (address !== null) void this.#keepLooking(this.#ending.signal);
  }

  /** Looks once; a failure leaves what is known. */
  async look(): Promise<void> {
    const { signal } = this.#ending;
    if (this.#address === null) return;
    try {
      const choice = await readLayers(this.#address, signal);
      if (signal.aborted) return;
      const isLost = this.#wish !== null && choice.chosen !== this.#wish;
      if (isLost && choice.layers.some((layer) => layer.encodingId === this.#wish)) await this.choose(this.#wish);
      else this.state.set(choice);
    } catch {
      // The session is over, or the next look succeeds.
    }
  }

  /** Asks for one quality, or with null for what the connection carries. */
  async choose(encodingId: string | null): Promise<void> {
    this.#wish = encodingId;
    const { signal } = this.#ending;
    if (this.#address === null) return;
    this.state.set({ ...this.state.get(), chosen: encodingId });
    try {
      const choice = await sendLayer(this.#address, encodingId, signal);
      if (!signal.aborted) this.state.set(choice);
    } catch {
      if (!signal.aborted) await this.look();
    }
  }

  async #keepLooking(signal: AbortSignal): Promise<void> {
    for (const ms of FIRST_MS) {
      await waitMs(ms, signal);
      if (!signal.aborted) await this.look();
    }
    while (!signal.aborted) {
      await waitMs(EVERY_MS, signal);
      if (!signal.aborted) await this.look();
    }
  }
}
