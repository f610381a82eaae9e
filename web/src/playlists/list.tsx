/** Playlists as rows: one's own in the library, somebody's public ones on their profile. */
import { Icon } from "../kit/icons";
import { usePages } from "../kit/load";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { formatNoun } from "../kit/words";
import type { Playlist } from "./playlists";
import "./list.css";

export function PlaylistList({ path, empty }: { path: string; empty: string }) {
  const pages = usePages<Playlist>(path);
  if (pages.items.length === 0) {
    if (pages.error !== null) return <Failure error={pages.error} onRetry={pages.reload} />;
    if (pages.loading) return <Skeleton shape="row" count={3} />;
    return (
      <Empty title="No playlists yet">
        <p class="muted">{empty}</p>
      </Empty>
    );
  }
  return (
    <>
      <ul class="playlist-rows">
        {pages.items.map((playlist) => (
          <li key={playlist.id}>
            <a class="playlist-row plain" href={`/playlist/${playlist.id}`} data-testid="playlist-row">
              <Icon name={playlist.kind === "watch_later" ? "clock" : "list"} />
              <strong class="grow clip">{playlist.title}</strong>
              {playlist.visibility !== "public" && <span class="chip">{playlist.visibility}</span>}
              <span class="data muted">{formatNoun(playlist.videos, "video")}</span>
            </a>
          </li>
        ))}
      </ul>
      <ListEnd pages={pages} />
    </>
  );
}
