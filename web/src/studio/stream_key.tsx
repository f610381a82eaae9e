/** What OBS needs, by WHIP or RTMP: the address, and the key that is shown masked. */
import { useState } from "preact/hooks";
import { Confirm } from "../kit/dialog";
import { Icon } from "../kit/icons";
import { copyText } from "../kit/share";
import { Tabs } from "../kit/tabs";
import { showError, showToast } from "../kit/toasts";
import { makeStreamKey } from "./rooms";

interface StreamKeyProps {
  liveId: string;
  whip: string;
  rtmp: string | null;
  streamKey: string | null;
  onRotated: (key: string) => void;
}

type Way = "whip" | "rtmp";

const WAYS: readonly { value: Way; label: string }[] = [
  { value: "whip", label: "WHIP" },
  { value: "rtmp", label: "RTMP" },
];

const MASK = "•".repeat(20);

export function StreamKeyPanel({ liveId, whip, rtmp, streamKey, onRotated }: StreamKeyProps) {
  const [isAsking, setAsking] = useState(false);
  const [way, setWay] = useState<Way>("whip");
  const rotate = async () => {
    try {
      onRotated(await makeStreamKey(liveId));
      showToast("New stream key. The old one no longer works.");
    } catch (error) {
      showError(error);
    }
  };
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
      <button type="button" class="button small" onClick={() => setAsking(true)}>
        <Icon name="retry" size={18} /> Make a new key
      </button>
      {isAsking && (
        <Confirm
          title="Make a new stream key?"
          text="The present key stops working at once, also in OBS."
          action="Make a new key"
          onConfirm={rotate}
          onClose={() => setAsking(false)}
        />
      )}
    </section>
  );
}

function Settings({ way, server, streamKey }: { way: Way; server: string; streamKey: string | null }) {
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

function KeyLine({ label, streamKey }: { label: string; streamKey: string | null }) {
  const [isShown, setShown] = useState(false);
  return (
    <div class="field">
      <span class="label">{label}</span>
      <div class="key-line">
        <code data-testid="stream-key" data-shown={isShown}>
          {streamKey === null ? MASK : isShown ? streamKey : `${MASK} ${streamKey.slice(-4)}`}
        </code>
        {streamKey !== null && (
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
              onClick={() => copyText(streamKey, "Stream key copied.")}
            >
              <Icon name="copy" size={20} />
            </button>
          </>
        )}
      </div>
      <p class="hint">
        {streamKey === null
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
