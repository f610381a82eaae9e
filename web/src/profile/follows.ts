/** Whom the person here follows, as far as this page has learnt it: one answer for every button that shows it. */
import { currentUser } from "../kit/session";
import { Store } from "../kit/store";

/** By username; whoever is not in it was not asked about yet. Emptied when somebody else logs in. */
export const follows = new Store<Readonly<Record<string, boolean>>>({});

export function noteFollow(username: string, isFollowing: boolean): void {
  if (follows.get()[username] === isFollowing) return;
  follows.set({ ...follows.get(), [username]: isFollowing });
}

let whose = currentUser.get()?.id ?? null;
currentUser.subscribe((user) => {
  if ((user?.id ?? null) === whose) return;
  whose = user?.id ?? null;
  follows.set({});
});
