/** Addresses that carry a right of some minutes: what a page shows for hours asks for another one once it has failed. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import type { Video } from "./shapes";

/** `/t/{right}/v/{video}/{file}`, on an edge. */
const GRANTED = /\/t\/[^/]+\/v\/([^/]+)\/[^/]+$/;
const QUERY = /\?.*$/;
/** One that was got so lately does not fail for its age. */
export const YOUNG_MS = 60_000;

export interface Lasting {
  /** What the page was given. */
  given: string | null;
  /** What opens by now; null when nothing does. */
  address: string | null;
  gotAt: number;
}

export function beginLasting(given: string | null | undefined): Lasting {
  return { given: given ?? null, address: given ?? null, gotAt: -Infinity };
}

/** What to try after an address did not open. */
export async function renewFailed(failed: Lasting, now: number): Promise<Lasting> {
  const isYoung = now - failed.gotAt < YOUNG_MS;
  const address = failed.address === null || isYoung ? null : await renewAddress(failed.address);
  return { ...failed, address, gotAt: now };
}

/** The same file of the same video by a right of now; null where that is not the matter, or none is given. */
async function renewAddress(address: string): Promise<string | null> {
  const videoId = GRANTED.exec(address.replace(QUERY, ""))?.[1];
  if (!videoId) return null;
  try {
    const { playback } = await askOnce(videoId);
    return [playback?.thumbnail, playback?.preview].find((one) => one && nameOf(one) === nameOf(address)) ?? null;
  } catch {
    return null; // it is no longer for them, or nobody answers: the frame stays empty
  }
}

function nameOf(address: string): string {
  return address.replace(QUERY, "").split("/").pop() ?? "";
}

const asking = new Map<string, Promise<Video>>();

/** Asks for a video; who asks meanwhile gets the same answer. */
function askOnce(videoId: string): Promise<Video> {
  const running = asking.get(videoId);
  if (running) return running;
  const answer = api.get<Video>(`/videos/${videoId}`).finally(() => asking.delete(videoId));
  asking.set(videoId, answer);
  return answer;
}

/** An address to show, and what to call when it does not open. */
export function useLasting(given: string | null | undefined): { address: string | null; onFail: () => void } {
  const [kept, keep] = useState(beginLasting(given));
  const current = kept.given === (given ?? null) ? kept : beginLasting(given);
  return { address: current.address, onFail: () => void renewFailed(current, Date.now()).then(keep) };
}
