/** Remembers across reloads which file belongs to which unfinished upload. Oldest entries go first. */

import type { IsProtected } from "./protection_field";

export interface KnownUpload {
  videoId: string;
  url: string;
  /** What was chosen of its protection. */
  isProtected?: IsProtected;
}

type Shelf = Pick<Storage, "getItem" | "setItem">;

const KEY = "sf.uploads";
const ENTRIES_MAX = 20;

/** The same file chosen again has the same name, size and time of change. */
export function fingerprintOf(file: Pick<File, "name" | "size" | "lastModified">): string {
  return `${file.name}|${file.size}|${file.lastModified}`;
}

export class UploadMemory {
  readonly #shelf: Shelf | null;

  constructor(shelf: Shelf | null = typeof localStorage === "undefined" ? null : localStorage) {
    this.#shelf = shelf;
  }

  #read(): Record<string, KnownUpload> {
    try {
      return JSON.parse(this.#shelf?.getItem(KEY) ?? "{}") as Record<string, KnownUpload>;
    } catch {
      return {};
    }
  }

  #write(entries: [string, KnownUpload][]): void {
    try {
      this.#shelf?.setItem(KEY, JSON.stringify(Object.fromEntries(entries.slice(-ENTRIES_MAX))));
    } catch {
      // A full or forbidden storage only costs the resume after a reload.
    }
  }

  find(fingerprint: string): KnownUpload | null {
    return this.#read()[fingerprint] ?? null;
  }

  keep(fingerprint: string, upload: KnownUpload): void {
    const others = Object.entries(this.#read()).filter(([known]) => known !== fingerprint);
    this.#write([...others, [fingerprint, upload]]);
  }

  forget(fingerprint: string): void {
    this.#write(Object.entries(this.#read()).filter(([known]) => known !== fingerprint));
  }
}
