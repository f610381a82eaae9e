/**
 * What a player tells of its session: how long it played, which hundredths, how well. `SessionTally` is pure but for
 * what it adds up; `useBeacon` feeds it and sends it every ten seconds of play and at every stop.
 */
import { useEffect, useRef } from "preact/hooks";
import type { PlayerEngine } from "./engine";

export interface SessionReport {
  session: string;
  watched_ms: number;
  parts: number[];
  start_ms: number | null;
  stalls: number;
  stalled_ms: number;
  switches: number;
}

export type TellSession = (report: SessionReport) => void;

const TELL_EVERY_MS = 10_000;
/** Between two looks at a playing video: more is a seek or a sleep. */
const STEP_MS_MAX = 2_000;
const PARTS = 100;

export class SessionTally {
  readonly #session: string;
  readonly #parts = new Set<number>();
  #watchedMs = 0;
  #startMs: number | null = null;
  #wishedMs: number | null = null;
  #stalledSinceMs: number | null = null;
  #stalls = 0;
  #stalledMs = 0;
  #switches = 0;
  #lastMs: number | null = null;
  #lastS: number | null = null;

  constructor(session: string) {
    this.#session = session;
  }

  /** Somebody wants it to play. */
  noteWish(nowMs: number): void {
    this.#wishedMs ??= nowMs;
  }

  /** It plays on from here. */
  noteStart(positionS: number): void {
    this.#lastS = positionS;
  }

  /** It plays at this moment, and played what is between the last one and this. */
  notePlay(positionS: number, durationS: number, nowMs: number): void {
    if (this.#startMs === null && this.#wishedMs !== null) this.#startMs = Math.round(nowMs - this.#wishedMs);
    if (this.#stalledSinceMs !== null) {
      this.#stalledMs += nowMs - this.#stalledSinceMs;
      this.#stalledSinceMs = null;
    }
    const step = this.#lastMs === null ? 0 : nowMs - this.#lastMs;
    if (step <= STEP_MS_MAX) this.#watchedMs += step;
    this.#lastMs = nowMs;
    if (durationS > 0) {
      const from = Math.min(this.#lastS ?? positionS, positionS);
      const last = findPart(positionS, durationS);
      for (let part = findPart(from, durationS); part <= last; part += 1) this.#parts.add(part);
    }
    this.#lastS = positionS;
  }

  /** It waits for data though it should play; before the first picture it only starts. */
  noteStall(nowMs: number): void {
    this.#lastMs = null;
    if (this.#startMs === null || this.#stalledSinceMs !== null) return;
    this.#stalledSinceMs = nowMs;
    this.#stalls += 1;
  }

  /** It plays no more, or elsewhere; what it still waited for is not waited for any longer. */
  noteStop(nowMs: number): void {
    if (this.#stalledSinceMs !== null) this.#stalledMs += nowMs - this.#stalledSinceMs;
    this.#lastMs = null;
    this.#stalledSinceMs = null;
  }

  /** It was played up to here, and stands. */
  noteEnd(positionS: number, durationS: number, nowMs: number): void {
    if (this.#startMs !== null && this.#lastMs !== null) this.notePlay(positionS, durationS, nowMs);
    this.noteStop(nowMs);
  }

  noteSwitch(): void {
    if (this.#startMs !== null) this.#switches += 1;
  }

  /** Null while there is nothing to tell. */
  report(): SessionReport | null {
    if (this.#startMs === null) return null;
    return {
      session: this.#session,
      watched_ms: Math.round(this.#watchedMs),
      parts: [...this.#parts].sort((a, b) => a - b),
      start_ms: this.#startMs,
      stalls: this.#stalls,
      stalled_ms: Math.round(this.#stalledMs),
      switches: this.#switches,
    };
  }
}

function findPart(positionS: number, durationS: number): number {
  return Math.min(PARTS - 1, Math.floor((positionS / durationS) * PARTS));
}

export function useBeacon(
  video: { current: HTMLVideoElement | null },
  engine: PlayerEngine | null,
  tell: TellSession | undefined,
): void {
  const latest = useRef(tell);
  latest.current = tell;
  const tally = useRef<SessionTally | null>(null);
  const isTelling = tell !== undefined;
  useEffect(() => {
    const element = video.current;
    if (!element || !isTelling) return undefined;
    const session = (tally.current = new SessionTally(crypto.randomUUID()));
    let toldMs = 0;
    const send = () => {
      const report = session.report();
      toldMs = performance.now();
      if (report) latest.current?.(report);
    };
    const handlers: Record<string, () => void> = {
      play: () => (session.noteWish(performance.now()), session.noteStart(element.currentTime)),
      timeupdate: () => {
        if (element.paused || element.seeking) return;
        session.notePlay(element.currentTime, element.duration, performance.now());
        if (performance.now() - toldMs >= TELL_EVERY_MS) send();
      },
      waiting: () => !element.seeking && session.noteStall(performance.now()),
      seeking: () => session.noteStop(performance.now()),
      seeked: () => session.noteStart(element.currentTime),
      pause: () => {
        if (!element.seeking) session.noteEnd(element.currentTime, element.duration, performance.now());
        if (!element.ended) send(); // at its end `ended` comes, too
      },
      ended: () => (session.noteStop(performance.now()), send()),
    };
    for (const [name, handle] of Object.entries(handlers)) element.addEventListener(name, handle);
    const hide = () => document.hidden && send();
    document.addEventListener("visibilitychange", hide);
    return () => {
      send();
      for (const [name, handle] of Object.entries(handlers)) element.removeEventListener(name, handle);
      document.removeEventListener("visibilitychange", hide);
      tally.current = null;
    };
  }, [isTelling]);
  useEffect(() => {
    if (!engine) return undefined;
    let playing = engine.state.get().playing;
    return engine.state.subscribe((state) => {
      if (state.playing !== playing && playing !== -1) tally.current?.noteSwitch();
      playing = state.playing;
    });
  }, [engine]);
}
