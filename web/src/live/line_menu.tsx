/** What can be done about one chat line: delete, pin, time out, ban. A dialog, so that keys reach it. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { nameOf } from "../kit/avatar";
import { Dialog } from "../kit/dialog";
import { Icon } from "../kit/icons";
import { showError, showToast } from "../kit/toasts";
import type { Pin } from "./room_rules";
import type { ChatLine } from "./shapes";

const TIME_OUT_S = 600;

interface LineMenuProps {
  roomId: string;
  line: ChatLine;
  isMine: boolean;
  canModerate: boolean;
  pins: readonly Pin[];
}

export function LineMenu(props: LineMenuProps) {
  const [isOpen, setOpen] = useState(false);
  const { line, canModerate, isMine } = props;
  if (line.state !== "sent" || !(canModerate || isMine)) return null;
  const whose = line.user ? nameOf(line.user) : "somebody";
  return (
    <>
      <button
        type="button"
        class="icon-button chat-act"
        aria-label={`Act on the line of ${whose}`}
        data-testid="line-menu"
        onClick={() => setOpen(true)}
      >
        <Icon name="shield" size={16} />
      </button>
      {isOpen && (
        <Dialog title={`Line of ${whose}`} onClose={() => setOpen(false)}>
          <blockquote class="chat-quote">{line.text}</blockquote>
          <Acts {...props} onDone={() => setOpen(false)} />
        </Dialog>
      )}
    </>
  );
}

function Acts({ roomId, line, isMine, canModerate, pins, onDone }: LineMenuProps & { onDone: () => void }) {
  const act = (said: string, work: Promise<unknown>) => {
    onDone();
    work.then(() => showToast(said), showError);
  };
  const room = `/live/${roomId}`;
  const isPinned = pins.some((pin) => pin.id === line.id);
  const username = line.user?.username;
  return (
    <div class="stack chat-acts">
      <button
        type="button"
        class="button danger"
        data-testid="line-delete"
        onClick={() => act("The line is gone.", api.delete(`${room}/messages/${line.id}`))}
      >
        Delete line
      </button>
      {canModerate && (
        <button
          type="button"
          class="button"
          onClick={() =>
            isPinned
              ? act("The line is not pinned any more.", api.delete(`${room}/pins/${line.id}`))
              : act("The line is pinned.", api.post(`${room}/pins`, { message_id: line.id }))
          }
        >
          {isPinned ? "Unpin" : "Pin above the chat"}
        </button>
      )}
      {canModerate && !isMine && username && (
        <>
          <button
            type="button"
            class="button"
            onClick={() =>
              act(
                `${username} may not write for ten minutes.`,
                api.post(`${room}/timeouts`, { username, duration_s: TIME_OUT_S }),
              )
            }
          >
            Time out for 10 minutes
          </button>
          <button
            type="button"
            class="button danger"
            onClick={() => act(`${username} is banned from this chat.`, api.post(`${room}/bans`, { username }))}
          >
            Ban from this chat
          </button>
        </>
      )}
    </div>
  );
}
