/** Where a video's file is fetched from, at the moment somebody wants it: rights in addresses last some minutes. */
import { api } from "../kit/api";
import type { Video } from "./shapes";

/** An address that opens now; throws the API's refusal, or says that there is no file any more. */
export async function findDownload(videoId: string): Promise<string> {
  const address = (await api.get<Video>(`/videos/${videoId}`)).playback?.download ?? null;
  if (address === null) throw new Error("It can no longer be downloaded.");
  return address;
}
