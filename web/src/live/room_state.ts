/** What the room says about itself: on air or not, how many watch. Follows the socket from a first answer of the API. */
import { useEffect, useState } from "preact/hooks";
import { useChannel } from "../kit/realtime";
import type { LiveStatus } from "./shapes";

export interface RoomState {
  status: LiveStatus;
  viewers: number;
}

interface Options {
  first: RoomState | null;
  socketUrl: string | null;
  onStatus?: (status: LiveStatus) => void;
  onReload?: () => void;
}

export function useRoomState(roomId: string, { first, socketUrl, onStatus, onReload }: Options): RoomState {
  const [state, setState] = useState<RoomState>(first ?? { status: "created", viewers: 0 });
  useEffect(() => {
    if (first) setState((known) => ({ status: first.status, viewers: Math.max(known.viewers, first.viewers) }));
  }, [first?.status, first?.viewers]);
  useChannel(
    first === null ? null : `room:${roomId}`,
    (event) => {
      const data = event.data as { status?: LiveStatus; viewers?: number };
      if (event.type === "state" && data.status) {
        const { status } = data;
        setState((known) => ({ ...known, status }));
        onStatus?.(status);
      }
      if (event.type === "viewer_count" && typeof data.viewers === "number") {
        const { viewers } = data;
        setState((known) => ({ ...known, viewers }));
      }
    },
    onReload,
    socketUrl,
  );
  return state;
}
