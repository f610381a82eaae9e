/** Tells where in a video its viewer is: now and then while it plays, and whenever they stop or leave. */
import { useEffect, useRef } from "preact/hooks";

export type TellPosition = (positionS: number) => void;

const TELL_EVERY_MS = 10_000;
const MOVED_S = 1;

/** Decides what is worth telling: a move of a second, and while it plays not too often. Pure but for `told`. */
export class PositionTeller {
  #toldS = -1;
  #toldMs = -TELL_EVERY_MS;
  readonly #tell: TellPosition;

  constructor(tell: TellPosition) {
    this.#tell = tell;
  }

  /** `isStop`: the last word for now, which does not wait. */
  note(positionS: number, nowMs: number, isStop: boolean): void {
    if (Math.abs(positionS - this.#toldS) < MOVED_S) return;
    if (!isStop && nowMs - this.#toldMs < TELL_EVERY_MS) return;
    this.#toldS = positionS;
    this.#toldMs = nowMs;
    this.#tell(positionS);
  }
}

export function usePosition(video: { current: HTMLVideoElement | null }, tell: TellPosition | undefined): void {
  const latest = useRef(tell);
  latest.current = tell;
  const isTelling = tell !== undefined;
  useEffect(() => {
    const element = video.current;
    if (!element || !isTelling) return undefined;
    const teller = new PositionTeller((positionS) => latest.current?.(positionS));
    let hasPlayed = false;
    const goOn = () => {
      if (element.paused) return;
      hasPlayed = true;
      teller.note(element.currentTime, performance.now(), false);
    };
    const stop = () => hasPlayed && teller.note(element.currentTime, performance.now(), true);
    const hide = () => document.hidden && stop();
    element.addEventListener("timeupdate", goOn);
    for (const name of ["pause", "ended"]) element.addEventListener(name, stop);
    document.addEventListener("visibilitychange", hide);
    return () => {
      stop();
      element.removeEventListener("timeupdate", goOn);
      for (const name of ["pause", "ended"]) element.removeEventListener(name, stop);
      document.removeEventListener("visibilitychange", hide);
    };
  }, [isTelling]);
}
