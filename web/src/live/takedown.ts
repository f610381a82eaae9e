/** Who may take a live down, and what that does to it. Pure. */
import { rankOf } from "../admin/shapes";
import { isOnAir, type Live } from "./shapes";

/** Moderators of the site, of what others show; the API checks it again. */
export function mayTakeDown(me: { id: string; role?: string } | null, ownerId: string): boolean {
  return me !== null && me.id !== ownerId && rankOf(me.role) >= rankOf("moderator");
}

/** Before it is done: what happens at once, and what stays. */
export function describeTakedown({ status }: Pick<Live, "status">): string {
  if (status === "ended") {
    return "Its page, its chat and the video that was made of it disappear; clips of it stay.";
  }
  if (!isOnAir({ status })) {
    return "It disappears from every list, with its chat, and its owner cannot go live with it any more.";
  }
  return (
    "Everybody is cut off within a second, its owner too: picture, sound and chat. " +
    "It does not become a video; clips of it stay."
  );
}
