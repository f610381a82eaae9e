/**
 * The latest word on something of a room, from two sources: its channel, and answers of the API. An
 * answer that was asked for before an event came is older than the event, however late it arrives.
 * Pure; `room_state.ts` and `chat_lines.ts` join it to the socket.
 */
import { decideDelay, waitMs } from "../kit/backoff";
import { ApiError } from "../kit/errors";

const BACKOFF = { firstMs: 500, maxMs: 8_000 };

export interface WordSource<T> {
  /** Asks the API; rejects when it does not answer. */
  read: () => Promise<T>;
  tell: (word: T) => void;
  pause?: (attempt: number) => Promise<void>;
}

export class LatestWord<T> {
  readonly #source: WordSource<T>;
  readonly #closing = new AbortController();
  #round = 0;

  constructor(source: WordSource<T>) {
    this.#source = source;
  }

  /** An event of the channel said it: no question that is still open has a later word. */
  overtake(): void {
    this.#round += 1;
  }

  /** An event of the channel: it overtakes, and is told. */
  hear(word: T): void {
    this.overtake();
    this.#source.tell(word);
  }

  /**
   * Asks until there is an answer, a refusal, an event or a newer question; tells the answer if it
   * is the latest word.
   */
  async ask(): Promise<void> {
    this.#round += 1;
    const round = this.#round;
    const isLatest = () => round === this.#round && !this.#closing.signal.aborted;
    for (let attempt = 0; isLatest(); attempt += 1) {
      try {
        const word = await this.#source.read();
        if (isLatest()) this.#source.tell(word);
        return;
      } catch (error) {
        if (isRefusal(error)) return;
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

/** Asking again would be answered the same. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429;
}
