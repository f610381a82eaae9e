/** Shares a video: its address, from this moment if wanted, and the code that shows it on another site. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { api } from "../kit/api";
import { Dialog } from "../kit/dialog";
import { Field } from "../kit/field";
import { Icon } from "../kit/icons";
import { copyText, shareAddress } from "../kit/share";
import { formatDuration } from "../kit/words";
import type { PlayerHandle } from "../player/player";
import { isEmbeddable, writeEmbed, writeLink } from "./links";
import type { Video } from "./shapes";

interface ShareButtonProps {
  video: Pick<Video, "id" | "title" | "visibility">;
  player: { current: PlayerHandle | null };
}

export function ShareButton({ video, player }: ShareButtonProps) {
  const [atS, setAtS] = useState<number | null>(null);
  return (
    <>
      <button
        type="button"
        class="button small"
        data-testid="share"
        onClick={() => setAtS(Math.floor(player.current?.position() ?? 0))}
      >
        <Icon name="share" size={18} /> <span class="wide-label">Share</span>
      </button>
      {atS !== null && <ShareDialog video={video} atS={atS} onClose={() => setAtS(null)} />}
    </>
  );
}

interface ShareDialogProps {
  video: Pick<Video, "id" | "title" | "visibility">;
  atS: number;
  onClose: () => void;
}

function ShareDialog({ video, atS, onClose }: ShareDialogProps) {
  const [isFrom, setFrom] = useState(false);
  const startS = isFrom ? atS : 0;
  const origin = window.location.origin;
  const canEmbed = isEmbeddable(video);
  const embed = writeEmbed(origin, video.id, startS);
  const link = writeLink(video.id, startS);
  const line = useRef<HTMLInputElement>(null);
  // On a narrow screen the moment, which is what has changed, would stand out of sight.
  useLayoutEffect(() => {
    if (line.current) line.current.scrollLeft = isFrom ? line.current.scrollWidth : 0;
  }, [isFrom]);
  const tell = (sharing: Promise<boolean>) => {
    // Its owner's number alone: what was shared is shared, also when this is lost.
    void sharing.then((isShared) => (isShared ? api.post(`/videos/${video.id}/share`) : undefined)).catch(() => undefined);
  };
  return (
    <Dialog title="Share" onClose={onClose}>
      <Field label="Link">
        {(props) => <input {...props} ref={line} class="input" readOnly value={origin + link} data-testid="share-link" />}
      </Field>
      <label class="row tight">
        <input type="checkbox" checked={isFrom} disabled={atS === 0} onChange={() => setFrom(!isFrom)} />
        Start at {formatDuration(atS)}
      </label>
      {canEmbed ? (
        <Field label="Code for another site">
          {(props) => <textarea {...props} class="input" rows={4} readOnly value={embed} />}
        </Field>
      ) : (
        <p class="muted">The link opens for whoever may watch. On other sites only public and unlisted videos play.</p>
      )}
      <div class="row dialog-actions">
        {canEmbed && (
          <button type="button" class="button" onClick={() => tell(copyText(embed, "Code copied."))}>
            Copy code
          </button>
        )}
        <button type="button" class="button primary" onClick={() => tell(shareAddress(video.title, link))}>
          Share link
        </button>
      </div>
    </Dialog>
  );
}
