/** Where a video's file is fetched from, at the moment somebody wants it: its link lasts for a day, or as long as the session. */
import { api } from "../kit/api";
import type { Video } from "./shapes";

/** An address that opens now; throws the API's refusal, or says that there is no file any more. */
export async function findDownload(videoId: string): Promise<string> {
  const address = (await api.get<Video>(`/videos/${videoId}`)).playback?.download ?? null;
  if (address === null) throw new Error("It can no longer be downloaded.");
  return address;
}
