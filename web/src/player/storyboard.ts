/** Small pictures of a video, from the WebVTT track whose cues name a sheet and a place on it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { hasGrant, rewriteGrant } from "./grant";

export interface Tile {
  startS: number;
  sheet: string;
  left: number;
  top: number;
  width: number;
  height: number;
}

const CUE = /(\d+):(\d\d):(\d\d)\.(\d{3}) --> .*\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)/g;

/** Tiles in order of time; `base` is the track's own address, which the sheets are relative to. */
export function readTiles(text: string, base: string): Tile[] {
  return [...text.matchAll(CUE)].map((cue) => {
    const [hours, minutes, seconds, millis] = [1, 2, 3, 4].map((group) => Number(cue[group]));
    const [left, top, width, height] = [6, 7, 8, 9].map((group) => Number(cue[group]));
    return {
      startS: (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0) + (millis ?? 0) / 1000,
      sheet: new URL(cue[5] ?? "", base).href,
      left: left ?? 0,
      top: top ?? 0,
      width: width ?? 0,
      height: height ?? 0,
    };
  });
}

/** The picture of a moment: the last one that starts at or before it. */
export function findTile(tiles: readonly Tile[], atS: number): Tile | null {
  let low = 0;
  let high = tiles.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tiles[middle]?.startS ?? 0) <= atS) low = middle + 1;
    else high = middle;
  }
  return tiles[low - 1] ?? null;
}

type Renew = () => Promise<string | null>;

/** Between two questions for a fresh right: a sheet that is broken is asked for again under each. */
const ASK_AGAIN_MS = 30_000;

/** Asks for a fresh right when a sheet does not come: those not seen yet are refused once the first one ran out. */
export class SheetRenewal {
  readonly #renew: Renew;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(renew: Renew) {
    this.#renew = renew;
  }

  /** The tiles under the fresh right; null where that is no help, or was asked for a moment ago. */
  async mend(tiles: readonly Tile[], broken: string, nowMs: number): Promise<Tile[] | null> {
    if (!hasGrant(broken) || nowMs - this.#askedMs < ASK_AGAIN_MS) return null;
    this.#askedMs = nowMs;
    const fresh = await this.#renew().catch(() => null);
    if (!fresh) return null;
    return tiles.map((tile) => ({ ...tile, sheet: rewriteGrant(tile.sheet, fresh) }));
  }
}

export interface Storyboard {
  tiles: Tile[];
  /** A sheet did not come. */
  onBroken: (sheet: string) => void;
}

/** No pictures until they are loaded, or when there are none: scrubbing works without. */
export function useStoryboard(address: string | null, renew: Renew | undefined): Storyboard {
  const [tiles, setTiles] = useState<Tile[]>([]);
  const renewal = useRef<SheetRenewal | null>(null);
  useEffect(() => {
    renewal.current = renew ? new SheetRenewal(renew) : null;
  }, [renew]);
  useEffect(() => {
    if (address === null) return undefined;
    const stop = new AbortController();
    fetch(address, { signal: stop.signal })
      .then((answer) => (answer.ok ? answer.text() : ""))
      .then((text) => setTiles(readTiles(text, address)))
      .catch(() => undefined);
    return () => stop.abort();
  }, [address]);
  const onBroken = async (sheet: string) => {
    const mended = await renewal.current?.mend(tiles, sheet, performance.now());
    if (mended) setTiles((now) => (now === tiles ? mended : now)); // others may have come meanwhile
  };
  return { tiles, onBroken: (sheet) => void onBroken(sheet) };
}

/** Loads a sheet before it is shown, because a background says nothing when it does not come. */
export function useSheet(sheet: string | null, onBroken: (sheet: string) => void): void {
  const latest = useRef(onBroken);
  latest.current = onBroken;
  useEffect(() => {
    if (sheet === null) return undefined;
    const picture = new Image();
    picture.onerror = () => latest.current(sheet);
    picture.src = sheet;
    return () => {
      picture.onerror = null;
    };
  }, [sheet]);
}
