/**
 * The index of an MP4 (its moov box), which cameras write behind the pictures. Sent ahead of the
 * file's bytes, it lets the server begin the video while they arrive. It is a hint: nothing is lost
 * where it cannot be found or is not wanted.
 */
import { getAccessToken } from "../kit/session";

export interface FileIndex {
  /** Where in the file it lies. */
  offset: number;
  data: Blob;
}

const INDEX_BYTES_MAX = 16 * 1024 * 1024;
const BOXES_MAX = 64;
const HEADER_BYTES = 16;

/** The index of an MP4 or MOV that comes behind what it describes (ISO/IEC 14496-12 §4.2). */
export async function findLateIndex(file: Blob): Promise<FileIndex | null> {
  let offset = 0;
  let hasMedia = false;
  for (let boxes = 0; boxes < BOXES_MAX && offset + 8 <= file.size; boxes += 1) {
    const header = new DataView(await file.slice(offset, offset + HEADER_BYTES).arrayBuffer());
    const kind = String.fromCharCode(...[4, 5, 6, 7].map((place) => header.getUint8(place)));
    let size = header.getUint32(0);
    if (size === 1 && header.byteLength === HEADER_BYTES) size = Number(header.getBigUint64(8));
    if (size < 8 || offset + size > file.size || (offset === 0 && kind !== "ftyp")) return null;
    if (kind === "moov") {
      return hasMedia && size <= INDEX_BYTES_MAX ? { offset, data: file.slice(offset, offset + size) } : null;
    }
    hasMedia ||= kind === "mdat";
    offset += size;
  }
  return null;
}

/** Sends a file's index to where its bytes will go, if it has one that would come late. */
export async function sendLateIndex(file: Blob, url: string): Promise<void> {
  try {
    const index = await findLateIndex(file);
    const token = index && (await getAccessToken());
    if (!index || !token) return;
    await fetch(`${url}/index`, {
      method: "PUT",
      headers: { Authorization: `Bearer ${token}`, "Tus-Resumable": "1.0.0", "Upload-Offset": String(index.offset) },
      body: index.data,
      signal: AbortSignal.timeout(60_000),
    });
  } catch {
    // The file is begun when it is there, then.
  }
}
