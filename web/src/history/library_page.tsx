/** What one watched and kept. */
import { useState } from "preact/hooks";
import { useTitle } from "../kit/router";
import { Tabs } from "../kit/tabs";
import { PlaylistList } from "../playlists/list";
import { OwnSubscriptions } from "../subscriptions/own_list";
import { HistoryList } from "./history_list";

export default function LibraryPage() {
  useTitle("Library");
  const [shown, setShown] = useState<"history" | "playlists" | "subscriptions">("history");
  return (
    <div class="page">
      <h1>Library</h1>
      <Tabs
        label="What you keep"
        tabs={[
          { value: "history", label: "History" },
          { value: "playlists", label: "Playlists" },
          { value: "subscriptions", label: "Subscriptions" },
        ]}
        value={shown}
        onChange={setShown}
      >
        {shown === "history" && <HistoryList />}
        {shown === "playlists" && (
          <PlaylistList path="/playlists" empty="Save a video from its page, to watch it later or in a list." />
        )}
        {shown === "subscriptions" && <OwnSubscriptions />}
      </Tabs>
    </div>
  );
}
