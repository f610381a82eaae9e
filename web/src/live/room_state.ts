/** What the room says about itself: on air or not, how many watch. Follows the socket from a first answer of the API. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../kit/api";
import type { Ways } from "../kit/messages";
import { useChannel } from "../kit/realtime";
import { LatestWord } from "./latest_word";
import type { Live, LiveStatus } from "./shapes";

export interface RoomState {
  status: LiveStatus;
  viewers: number;
  /** How they watch; null until the room says it. */
  ways: Ways | null;
}

interface Options {
  first: RoomState | null;
  socketUrl: string | null;
  onStatus?: (status: LiveStatus) => void;
}

export function useRoomState(roomId: string, { first, socketUrl, onStatus }: Options): RoomState {
  const [state, setState] = useState<RoomState>(first ?? { status: "created", viewers: 0, ways: null });
  useEffect(() => {
    if (first) setState((known) => ({ ...known, status: first.status, viewers: Math.max(known.viewers, first.viewers) }));
  }, [first?.status, first?.viewers]);
  const latest = useRef<(status: LiveStatus) => void>(() => undefined);
  latest.current = (status) => {
    setState((known) => ({ ...known, status }));
    onStatus?.(status);
  };
  const desk = useRef<LatestWord<LiveStatus> | null>(null);
  useEffect(() => {
    const opened = new LatestWord<LiveStatus>({
      read: async () => (await api.get<Live>(`/live/${roomId}`)).status,
      tell: (status) => latest.current(status),
    });
    desk.current = opened;
    return () => opened.close();
  }, [roomId]);
  // The room may have gone on air between the API's answer and the subscription.
  const ask = () => void desk.current?.ask();
  useChannel(
    first === null ? null : `room:${roomId}`,
    {
      onEvent: (event) => {
        if (event.type === "state") desk.current?.hear(event.data.status);
        if (event.type === "viewer_count") {
          const { viewers, ways } = event.data;
          setState((known) => ({ ...known, viewers, ways }));
        }
      },
      onSubscribed: ask,
      onReload: ask,
    },
    socketUrl,
  );
  return state;
}
