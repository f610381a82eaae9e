/** Small pictures of a video, from the WebVTT track whose cues name a sheet and a place on it. */
import { useEffect, useState } from "preact/hooks";

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

/** No pictures until they are loaded, or when there are none: scrubbing works without. */
export function useStoryboard(address: string | null): Tile[] {
  const [tiles, setTiles] = useState<Tile[]>([]);
  useEffect(() => {
    if (address === null) return undefined;
    const stop = new AbortController();
    fetch(address, { signal: stop.signal })
      .then((answer) => (answer.ok ? answer.text() : ""))
      .then((text) => setTiles(readTiles(text, address)))
      .catch(() => undefined);
    return () => stop.abort();
  }, [address]);
  return tiles;
}
