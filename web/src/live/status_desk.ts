/**
 * The latest word on a room's status, from two sources: its channel, and answers of the API. An
 * answer that was asked for before an event came is older than the event, however late it arrives.
 * Pure; `room_state.ts` joins it to the socket.
 */
import { decideDelay, waitMs } from "../kit/backoff";
import type { LiveStatus } from "./shapes";

const BACKOFF = { firstMs: 500, maxMs: 8_000 };

export interface StatusSource {
  /** Asks the API; rejects when it does not answer. */
  read: () => Promise<LiveStatus>;
  tell: (status: LiveStatus) => void;
  pause?: (attempt: number) => Promise<void>;
}

export class StatusDesk {
  readonly #source: StatusSource;
  readonly #closing = new AbortController();
  #round = 0;

  constructor(source: StatusSource) {
    this.#source = source;
  }

  /** An event of the channel: it overtakes every question that is still open. */
  hear(status: LiveStatus): void {
    this.#round += 1;
    this.#source.tell(status);
  }

  /** Asks until there is an answer, an event or a newer question; tells the answer if it is the latest word. */
  async ask(): Promise<void> {
    this.#round += 1;
    const round = this.#round;
    const isLatest = () => round === this.#round && !this.#closing.signal.aborted;
    for (let attempt = 0; isLatest(); attempt += 1) {
      try {
        const status = await this.#source.read();
        if (isLatest()) this.#source.tell(status);
        return;
      } catch {
        await this.#pause(attempt);
      }
    }
  }

  close(): void {
    this.#closing.abort();
  }

  #pause(attempt: number): Promise<void> {
    return this.#source.pause?.(attempt) ?? waitMs(decideDelay(attempt, BACKOFF), this.#closing.signal);
  }
}
