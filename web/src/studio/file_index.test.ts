/** Finding the index of a file that a camera wrote. */
import { expect, test } from "vitest";
import { findLateIndex } from "./file_index";

function box(kind: string, size: number): Uint8Array {
  const data = new Uint8Array(size);
  new DataView(data.buffer).setUint32(0, size);
  data.set(new TextEncoder().encode(kind), 4);
  return data;
}

/** A box whose size takes 64 bits, as films beyond 4 GB have. */
function largeBox(kind: string, size: number): Uint8Array {
  const data = box(kind, size);
  const view = new DataView(data.buffer);
  view.setUint32(0, 1);
  view.setBigUint64(8, BigInt(size));
  return data;
}

function file(...boxes: Uint8Array[]): Blob {
  return new Blob(boxes as BlobPart[]);
}

test("an index behind the pictures is found with its place", async () => {
  const found = await findLateIndex(file(box("ftyp", 24), box("free", 8), box("mdat", 500), box("moov", 90)));
  expect(found?.offset).toBe(532);
  expect(found?.data.size).toBe(90);
});

test("pictures of any size are passed over", async () => {
  const found = await findLateIndex(file(box("ftyp", 24), largeBox("mdat", 700), box("moov", 90)));
  expect(found?.offset).toBe(724);
});

test.each([
  ["comes first", file(box("ftyp", 24), box("moov", 90), box("mdat", 500))],
  ["is missing", file(box("ftyp", 24), box("mdat", 500))],
  ["is cut off", file(box("ftyp", 24), box("mdat", 500), box("moov", 90).slice(0, 40))],
  ["is of no MP4", file(box("RIFF", 24), box("mdat", 500), box("moov", 90))],
  ["lies behind a box without a size", file(box("ftyp", 24), new Uint8Array(40))],
  ["is of nothing", file()],
])("an index that %s is not sent", async (_words, blob) => {
  expect(await findLateIndex(blob)).toBeNull();
});
