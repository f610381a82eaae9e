/** Title, Go live, End: the row below the monitor, and what is shown when it is over. */
import { useState } from "preact/hooks";
import { describeError } from "../kit/errors";
import { TextField } from "../kit/field";
import { Icon } from "../kit/icons";
import { shareAddress } from "../kit/share";
import { Store, useStore } from "../kit/store";
import type { PublishState } from "../kit/whip";
import { useRecording } from "../live/recording";
import type { RoomState } from "../live/room_state";
import type { Live } from "../live/shapes";
import { StatusTally, ViewerCount } from "../live/tally";
import { SeenBy } from "../videos/seen_by";
import type { Visibility } from "../videos/shapes";
import { ChangeDialog } from "./change_dialog";
import { describeKept, type HlsOff } from "./kept_words";
import type { OnAir } from "./on_air";
import { LIVE_TITLE_MAX, type Room } from "./rooms";
import { ScheduleDialog } from "./schedule_dialog";
import { ScheduleRow } from "./schedule_row";
import { VisibilityField } from "./upload_form";

export interface Draft {
  title: string;
  visibility: Visibility;
  /** Whether it becomes a video when it ends. */
  record: boolean;
}

export interface BroadcastActions {
  goLive: (draft: Draft) => Promise<void>;
  /** With a time it is scheduled, without one it waits for media. */
  prepare: (draft: Draft, at: string | null) => Promise<void>;
  end: (room: Room) => Promise<void>;
}

interface PanelProps {
  room: Room | null;
  state: RoomState;
  present: OnAir | null;
  actions: BroadcastActions;
  onEnd: () => void;
  onChange: (live: Live) => void;
}

const AT_REST = new Store<PublishState>({ phase: "idle", error: null });

const PHASE_WORDS: Partial<Record<PublishState["phase"], string>> = {
  connecting: "Connecting to the media server…",
  reconnecting: "The connection was lost. Coming back by itself…",
};

export function GoLivePanel({ room, state, present, actions, onEnd, onChange }: PanelProps) {
  const publish = useStore(present?.publisher.state ?? AT_REST);
  const isSending = present !== null && publish.phase !== "failed";
  return (
    <section class="stack" aria-label="Broadcast">
      <div class="row tight">
        <StatusTally status={state.status} announce />
        {room && <ViewerCount viewers={state.viewers} />}
        {room && state.ways && state.viewers > 0 && <Ways ways={state.ways} />}
        <span class="data muted" role="status">
          {PHASE_WORDS[publish.phase] ?? ""}
        </span>
      </div>
      {publish.phase === "failed" && (
        <p class="problem" role="alert" data-testid="error-state">
          {publish.error ? describeError(publish.error) : "The broadcast stopped."}
        </p>
      )}
      {room ? (
        <RoomRow
          room={room}
          isSending={isSending}
          isOpen={state.status === "live" || state.status === "interrupted"}
          actions={actions}
          onEnd={onEnd}
          onChange={onChange}
        />
      ) : (
        <DraftForm actions={actions} />
      )}
    </section>
  );
}

/** How the viewers watch, for whoever sends. */
function Ways({ ways: { webrtc, hls, chat } }: { ways: NonNullable<RoomState["ways"]> }) {
  return (
    <span class="data muted" data-testid="viewer-ways">
      {webrtc} by WebRTC · {hls} by HLS · {chat} in the chat alone
    </span>
  );
}

interface RoomRowProps {
  room: Room;
  isSending: boolean;
  isOpen: boolean;
  actions: BroadcastActions;
  onEnd: () => void;
  onChange: (live: Live) => void;
}

function RoomRow({ room, isSending, isOpen, actions, onEnd, onChange }: RoomRowProps) {
  const [problem, setProblem] = useState<string | null>(null);
  const start = async () => {
    setProblem(null);
    try {
      const { title, visibility, record } = room.live;
      await actions.goLive({ title, visibility, record });
    } catch (error) {
      setProblem(describeError(error));
    }
  };
  return (
    <>
      <TitleRow live={room.live} isOnAir={isOpen || isSending} onChange={onChange} />
      {!isOpen && !isSending && <ScheduleRow live={room.live} onChange={onChange} />}
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <div class="row broadcast-acts">
        {!isSending && (
          <button type="button" class="button live" data-testid="go-live" onClick={() => void start()}>
            <Icon name="live" size={20} /> {isOpen ? "Send from this camera" : "Go live"}
          </button>
        )}
        {(isOpen || isSending || room.live.scheduled_at === null) && (
          <button type="button" class="button danger" data-testid="end-live" onClick={onEnd}>
            End
          </button>
        )}
        <a class="button" href={`/live/${room.live.id}`} target="_blank" data-testid="open-live">
          Viewer page
        </a>
        <button
          type="button"
          class="button quiet"
          onClick={() => shareAddress(room.live.title, `/live/${room.live.id}`)}
        >
          <Icon name="share" size={20} /> Share
        </button>
      </div>
    </>
  );
}

/** What it is called and who may watch it; both can be changed at any time. */
function TitleRow({ live, isOnAir, onChange }: { live: Live; isOnAir: boolean; onChange: (live: Live) => void }) {
  const [isChanging, setChanging] = useState(false);
  return (
    <div class="row tight">
      <p class="control-title">{live.title}</p>
      <SeenBy video={live} />
      <button type="button" class="button small" data-testid="change-live" onClick={() => setChanging(true)}>
        <Icon name="edit" size={18} /> Edit<span class="visually-hidden"> title and audience</span>
      </button>
      {isChanging && (
        <ChangeDialog live={live} isOnAir={isOnAir} onSaved={onChange} onClose={() => setChanging(false)} />
      )}
    </div>
  );
}

function DraftForm({ actions }: { actions: BroadcastActions }) {
  const [draft, setDraft] = useState<Draft>({ title: "", visibility: "public", record: true });
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [isScheduling, setScheduling] = useState(false);
  const run = async (action: (draft: Draft) => Promise<void>) => {
    const title = draft.title.trim();
    if (title === "") return setProblem("Give the broadcast a title first.");
    setBusy(true);
    setProblem(null);
    try {
      await action({ ...draft, title });
    } catch (error) {
      setProblem(describeError(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void run(actions.goLive);
        }}
      >
        <div class="draft">
          <TextField
            label="Title"
            problem={problem}
            maxLength={LIVE_TITLE_MAX}
            value={draft.title}
            placeholder="What are you showing?"
            testId="live-title"
            onChange={(title) => setDraft({ ...draft, title })}
          />
          <VisibilityField value={draft.visibility} onChange={(visibility) => setDraft({ ...draft, visibility })} />
        </div>
        <label class="row tight">
          <input
            type="checkbox"
            checked={draft.record}
            data-testid="record-live"
            onChange={(event) => setDraft({ ...draft, record: event.currentTarget.checked })}
          />
          <span>Keep it as a video when it ends</span>
        </label>
        <div class="row broadcast-acts">
          <button type="submit" class="button live" disabled={isBusy} data-testid="go-live">
            <Icon name="live" size={20} /> {isBusy ? "Starting…" : "Go live"}
          </button>
          <button
            type="button"
            class="button"
            disabled={isBusy}
            data-testid="prepare-live"
            onClick={() => void run((ready) => actions.prepare(ready, null))}
          >
            Prepare for OBS
          </button>
          <button
            type="button"
            class="button"
            disabled={isBusy}
            data-testid="schedule-live"
            onClick={() =>
              draft.title.trim() === "" ? setProblem("Give the broadcast a title first.") : setScheduling(true)
            }
          >
            <Icon name="clock" size={20} /> Schedule
          </button>
        </div>
      </form>
      {isScheduling && (
        <ScheduleDialog
          title="When does it begin?"
          at={null}
          action="Schedule"
          onChoose={(at) => actions.prepare({ ...draft, title: draft.title.trim() }, at)}
          onClose={() => setScheduling(false)}
        />
      )}
    </>
  );
}

export function EndedPanel({ live, lastOff }: { live: Live; lastOff: HlsOff | null }) {
  const kept = useRecording(live, true);
  return (
    <section class="stack">
      <div class="row tight">
        <StatusTally status="ended" announce />
      </div>
      <p class="control-title">{live.title}</p>
      <p class="muted">This broadcast is over. The chat stays readable.</p>
      <p class={kept.nothing_kept ? "problem" : "muted"} role="status" data-testid="what-is-kept">
        {describeKept(kept, lastOff)}
      </p>
      <div class="row">
        <a class="button primary" href="/studio/live" data-testid="new-live">
          Start another
        </a>
        {kept.recording_id && (
          <a class="button" href={`/watch/${kept.recording_id}`} data-testid="watch-recording">
            Watch the recording
          </a>
        )}
        <a class="button" href={`/studio/live/${live.id}`} data-testid="open-analytics">
          How it went
        </a>
        <a class="button" href="/studio">
          Back to the studio
        </a>
      </div>
    </section>
  );
}
