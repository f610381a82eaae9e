/** Says that there are newer posts; shows them only when asked, so that nothing jumps while reading. */
import { useState } from "preact/hooks";
import { useChannel } from "../kit/realtime";
import { formatNoun } from "../kit/words";

export function HomeHints({ userId, onShow }: { userId: string; onShow: () => void }) {
  const [count, setCount] = useState(0);
  useChannel(`user:${userId}`, {
    onEvent: (event) => {
      if (event.type === "feed_hint") setCount((known) => known + 1);
    },
  });
  return (
    <div role="status">
      {count > 0 && (
        <button
          type="button"
          class="button wide home-hint"
          data-testid="feed-hint"
          onClick={() => {
            setCount(0);
            onShow();
            window.scrollTo({ top: 0, behavior: "smooth" });
          }}
        >
          Show {formatNoun(count, "new post")}
        </button>
      )}
    </div>
  );
}
