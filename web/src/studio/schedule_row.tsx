/** When the room of the control room begins: choose a time, change it, or call the live off. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { Confirm } from "../kit/dialog";
import { Icon } from "../kit/icons";
import { useNow } from "../kit/now";
import { navigate } from "../kit/router";
import { showError, showToast } from "../kit/toasts";
import { describeStart, formatMoment } from "../live/schedule";
import type { Live } from "../live/shapes";
import { ScheduleDialog } from "./schedule_dialog";

interface RowProps {
  live: Live;
  onChange: (live: Live) => void;
}

export function ScheduleRow({ live, onChange }: RowProps) {
  const [isChoosing, setChoosing] = useState(false);
  const [isCancelling, setCancelling] = useState(false);
  const at = live.scheduled_at;
  const nowMs = useNow(at ? Infinity : 0, 30_000);
  const change = async (iso: string | null) => {
    const { title, visibility, status, scheduled_at: moved } = await api.patch<Live>(`/live/${live.id}`, {
      scheduled_at: iso,
    });
    onChange({ ...live, title, visibility, status, scheduled_at: moved });
  };
  const cancel = async () => {
    try {
      await api.delete(`/live/${live.id}`);
      showToast(`“${live.title}” is called off.`);
      navigate("/studio/live", true);
    } catch (error) {
      showError(error);
    }
  };
  return (
    <div class="row tight schedule-row">
      <Icon name="clock" size={20} />
      {at ? (
        <>
          <p data-testid="scheduled-at">
            <time dateTime={at}>{formatMoment(at)}</time> <span class="muted">· {describeStart(at, nowMs)}</span>
          </p>
          <button type="button" class="button small" data-testid="reschedule" onClick={() => setChoosing(true)}>
            Change time
          </button>
          <button
            type="button"
            class="button small quiet"
            data-testid="unschedule"
            onClick={() => void change(null).catch(showError)}
          >
            Take the time back
          </button>
          <button
            type="button"
            class="button small danger"
            data-testid="cancel-live"
            onClick={() => setCancelling(true)}
          >
            Call it off
          </button>
        </>
      ) : (
        <button type="button" class="button small" data-testid="reschedule" onClick={() => setChoosing(true)}>
          Set a time
        </button>
      )}
      {isChoosing && (
        <ScheduleDialog
          title="When does it begin?"
          at={at}
          action="Save time"
          onChoose={change}
          onClose={() => setChoosing(false)}
        />
      )}
      {isCancelling && (
        <Confirm
          title="Call this live off?"
          text={`“${live.title}” disappears from every list, with its chat and its stream key.`}
          action="Call it off"
          onConfirm={() => void cancel()}
          onClose={() => setCancelling(false)}
        />
      )}
    </div>
  );
}
