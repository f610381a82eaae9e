/** The broadcast that leaves this tab, kept outside the pages so that walking about does not end it. */
import type { WhipPublisher } from "../kit/whip";
import { Store } from "../kit/store";
import type { Source } from "./camera";

export interface OnAir extends Source {
  liveId: string;
  title: string;
  publisher: WhipPublisher;
}

export const onAir = new Store<OnAir | null>(null);

/** Stops sending after the room was ended: its edge has closed the session already. */
export function leaveAir(): void {
  const present = onAir.get();
  if (!present) return;
  present.publisher.stop(false);
  present.stream.getTracks().forEach((track) => track.stop());
  onAir.set(null);
}
