/** What one watched and kept. */
import { useTitle } from "../kit/router";
import { HistoryList } from "./history_list";

export default function LibraryPage() {
  useTitle("Library");
  return (
    <div class="page">
      <h1>Library</h1>
      <HistoryList />
    </div>
  );
}
