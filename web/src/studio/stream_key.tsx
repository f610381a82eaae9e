/** What OBS needs, by WHIP or RTMP: the address, and the key that is shown masked, replaced or revoked. */
import { useRef, useState } from "preact/hooks";
import { Confirm } from "../kit/dialog";
import { Icon } from "../kit/icons";
import { copyText } from "../kit/share";
import { Tabs } from "../kit/tabs";
import { showError, showToast } from "../kit/toasts";
import type { Ingest } from "../live/shapes";
import { makeStreamKey, revokeStreamKey, type StreamKey } from "./rooms";

interface StreamKeyProps {
  liveId: string;
  ingest: Ingest;
  streamKey: StreamKey;
  onChange: (key: StreamKey) => void;
}

type Way = "whip" | "rtmp";

const WAYS: readonly { value: Way; label: string }[] = [
  { value: "whip", label: "WHIP" },
  { value: "rtmp", label: "RTMP" },
];

const MASK = "•".repeat(20);

export function StreamKeyPanel({ liveId, ingest, streamKey, onChange }: StreamKeyProps) {
  const [way, setWay] = useState<Way>("whip");
  const { whip, rtmp } = ingest;
  return (
    <section class="key-panel card" aria-labelledby="key-title">
      <h2 id="key-title">Send from OBS</h2>
      {rtmp ? (
        <Tabs label="Protocol" tabs={WAYS} value={way} onChange={setWay}>
          <Settings way={way} server={way === "rtmp" ? rtmp : whip} streamKey={streamKey} />
        </Tabs>
      ) : (
        <Settings way="whip" server={whip} streamKey={streamKey} />
      )}
      <KeyButtons liveId={liveId} hasKey={streamKey.hint !== null} onChange={onChange} />
    </section>
  );
}

interface KeyButtonsProps {
  liveId: string;
  hasKey: boolean;
  onChange: (key: StreamKey) => void;
}

function KeyButtons({ liveId, hasKey, onChange }: KeyButtonsProps) {
  const [asking, setAsking] = useState<"make" | "revoke" | null>(null);
  const making = useRef<HTMLButtonElement>(null);
  const change = async (act: (liveId: string) => Promise<StreamKey>, told: string) => {
    try {
      onChange(await act(liveId));
      showToast(told);
      // What was pressed may be gone by now.
      making.current?.focus();
    } catch (error) {
      showError(error);
    }
  };
  const make = () =>
    change(makeStreamKey, hasKey ? "New stream key. The old one no longer works." : "There is a stream key again.");
  return (
    <div class="row tight">
      <button
        ref={making}
        type="button"
        class="button small"
        data-testid="make-key"
        onClick={() => (hasKey ? setAsking("make") : void make())}
      >
        <Icon name="retry" size={18} /> Make a new key
      </button>
      {hasKey && (
        <button type="button" class="button small danger" data-testid="revoke-key" onClick={() => setAsking("revoke")}>
          Revoke
        </button>
      )}
      {asking === "make" && (
        <Confirm
          title="Make a new stream key?"
          text="The present key stops working at once, also in OBS."
          action="Make a new key"
          onConfirm={make}
          onClose={() => setAsking(null)}
        />
      )}
      {asking === "revoke" && (
        <Confirm
          title="Revoke the stream key?"
          text="Whoever publishes with it is cut at once, OBS and this page alike. To go live again, a new key must be made first."
          action="Revoke the key"
          onConfirm={() => change(revokeStreamKey, "The stream key is revoked.")}
          onClose={() => setAsking(null)}
        />
      )}
    </div>
  );
}

function Settings({ way, server, streamKey }: { way: Way; server: string; streamKey: StreamKey }) {
  return (
    <div class="stack">
      <p class="muted">
        {way === "whip"
          ? "In OBS choose the service WHIP, then paste these two. The shortest delay."
          : "In OBS choose the service Custom, then paste these two. For any encoder: H.264, HEVC or AV1, with AAC or Opus."}
      </p>
      <CopyLine label="Server" value={server} testId={`${way}-address`} />
      <KeyLine label={way === "whip" ? "Stream key (bearer token)" : "Stream key"} streamKey={streamKey} />
      {way === "rtmp" && (
        <p class="muted">
          Set the keyframe interval to 2 s and B-frames to 0 in Output, Advanced: with B-frames viewers get HLS, some
          seconds behind.
        </p>
      )}
    </div>
  );
}

function KeyLine({ label, streamKey: { text, hint } }: { label: string; streamKey: StreamKey }) {
  const [isShown, setShown] = useState(false);
  return (
    <div class="field">
      <span class="label">{label}</span>
      <div class="key-line">
        {hint === null ? (
          <span class="no-key" data-testid="no-stream-key">
            No key
          </span>
        ) : (
          <code data-testid="stream-key" data-shown={isShown}>
            {isShown && text !== null ? text : `${MASK} ${hint}`}
          </code>
        )}
        {text !== null && (
          <>
            <button
              type="button"
              class="icon-button"
              aria-label={isShown ? "Hide the stream key" : "Show the stream key"}
              data-testid="stream-key-show"
              onClick={() => setShown(!isShown)}
            >
              <Icon name="eye" size={20} />
            </button>
            <button
              type="button"
              class="icon-button"
              aria-label="Copy the stream key"
              data-testid="stream-key-copy"
              onClick={() => copyText(text, "Stream key copied.")}
            >
              <Icon name="copy" size={20} />
            </button>
          </>
        )}
      </div>
      <p class="hint">
        {hint === null
          ? "It was revoked: no encoder gets in until there is a new one. Going live from this camera makes one."
          : text === null
            ? "A key is told only once. Make a new one to see it."
            : "Whoever has it can broadcast in your name."}
      </p>
    </div>
  );
}

function CopyLine({ label, value, testId }: { label: string; value: string; testId?: string }) {
  return (
    <div class="field">
      <span class="label">{label}</span>
      <div class="key-line">
        <code data-testid={testId}>{value}</code>
        <button
          type="button"
          class="icon-button"
          aria-label={`Copy: ${label}`}
          onClick={() => copyText(value, "Address copied.")}
        >
          <Icon name="copy" size={20} />
        </button>
      </div>
    </div>
  );
}
