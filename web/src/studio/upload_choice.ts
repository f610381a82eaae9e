/**
 * What somebody chooses for a file that is uploaded, and how a video whose upload was begun before takes it.
 * Uploads call it before they send on. Knows nothing of bytes.
 */
import { api } from "../kit/api";
import type { Video, Visibility } from "../videos/shapes";
import type { IsProtected } from "./protection_field";

/** What somebody may choose beside the file. */
export type Chosen = "title" | "visibility" | "publishAt" | "isProtected";

export interface UploadChoice {
  file: File;
  /** What they did choose: the rest is only proposed, and changes nothing of what was begun before. */
  chosen: ReadonlySet<Chosen>;
  /** Null: as the file is called, and as its video is called by now when that was begun before. */
  title: string | null;
  visibility: Visibility;
  /** When it becomes so visible; null: at once. */
  publishAt: string | null;
  isProtected: IsProtected;
}

/** What was chosen for a video that was begun before, as it stands now. */
export type BegunChoice = Omit<UploadChoice, "file" | "title" | "chosen"> & { title: string };

export const TITLE_MAX = 200;

/** A title from a file name: no ending, no underscores. */
export function nameFromFile(filename: string): string {
  const stem = filename
    .replace(/\.[^.]+$/, "")
    .replace(/[_]+/g, " ")
    .trim();
  return (stem || filename).slice(0, TITLE_MAX);
}

/** `begunAs`: what was chosen of its protection, which a video does not say. */
export function describeBegun(video: Video, begunAs: IsProtected): BegunChoice {
  const { title, publication } = video;
  const visibility = publication?.visibility ?? video.visibility;
  return { title, visibility, publishAt: publication?.at ?? null, isProtected: begunAs };
}

/** Whether what was begun is protected as is wanted now: that is settled once a video is announced. */
export function isAsProtected(
  video: Pick<Video, "protected">,
  begunAs: IsProtected,
  { chosen, isProtected: wanted }: Pick<UploadChoice, "chosen" | "isProtected">,
): boolean {
  if (!chosen.has("isProtected")) return true;
  return wanted === null ? begunAs === null : Boolean(video.protected) === wanted;
}

/** Changes what was chosen otherwise; where a step fails it throws, and the video is no more open than either. */
export async function applyChoice(video: Video, choice: UploadChoice): Promise<void> {
  const path = `/videos/${video.id}`;
  const waits = video.publication ?? null;
  const { title, visibility, publishAt } = fillIn(choice, describeBegun(video, null));
  if (publishAt !== null) {
    const waitsSo = waits?.visibility === visibility && Date.parse(waits.at) === Date.parse(publishAt);
    if (!waitsSo) await api.put(`${path}/publication`, { at: publishAt, visibility });
  } else if (waits) {
    await api.delete(`${path}/publication`); // it stays private
  }
  const change: { title?: string; visibility?: Visibility } = {};
  if (title !== null && title !== video.title) change.title = title;
  if (publishAt === null && visibility !== video.visibility) change.visibility = visibility;
  if (Object.keys(change).length > 0) await api.patch(path, change);
}

/** What was not chosen stays as it stands. */
function fillIn(choice: UploadChoice, stands: BegunChoice): Pick<UploadChoice, "title" | "visibility" | "publishAt"> {
  const { visibility } = choice.chosen.has("visibility") ? choice : stands;
  const { title } = choice.chosen.has("title") ? choice : stands;
  const { publishAt } = choice.chosen.has("publishAt") ? choice : stands;
  return { title, visibility, publishAt: visibility === "private" ? null : publishAt };
}
