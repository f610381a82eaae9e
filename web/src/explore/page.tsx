/** Everything public: who is on air, the newest videos, the newest posts. */
import { useState } from "preact/hooks";
import { api, type Page } from "../kit/api";
import { useLoad, usePages } from "../kit/load";
import { useTitle } from "../kit/router";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { Tabs } from "../kit/tabs";
import { LiveCard } from "../live/card";
import type { Live } from "../live/shapes";
import { FeedList } from "../posts/feed_list";
import type { Post } from "../posts/shapes";
import { VideoCard } from "../videos/card";
import type { Video } from "../videos/shapes";
import "./page.css";

export default function ExplorePage() {
  useTitle("Explore");
  const [shown, setShown] = useState<"videos" | "posts">("videos");
  return (
    <div class="page">
      <h1>Explore</h1>
      <LiveStrip />
      <Tabs
        label="What to explore"
        tabs={[
          { value: "videos", label: "Videos" },
          { value: "posts", label: "Posts" },
        ]}
        value={shown}
        onChange={setShown}
      >
        {shown === "videos" ? <Videos /> : <Posts />}
      </Tabs>
    </div>
  );
}

function LiveStrip() {
  const lives = useLoad<Page<Live>>("strip", (signal) => api.get<Page<Live>>("/live", { query: { limit: 8 }, signal }));
  if (!lives.data || lives.data.items.length === 0) return null;
  return (
    <section class="stack" aria-labelledby="strip-title">
      <h2 id="strip-title">On air now</h2>
      <div class="live-strip">
        {lives.data.items.map((live) => (
          <LiveCard key={live.id} live={live} />
        ))}
      </div>
    </section>
  );
}

function Videos() {
  const pages = usePages<Video>("/videos");
  if (pages.items.length === 0) {
    if (pages.error !== null) return <Failure error={pages.error} onRetry={pages.reload} />;
    if (pages.loading) {
      return (
        <div class="video-grid">
          <Skeleton shape="video" count={6} />
        </div>
      );
    }
    return (
      <Empty title="No videos yet">
        <p class="muted">Upload one in the studio and it appears here for everyone.</p>
        <a class="button primary" href="/studio">
          Open the studio
        </a>
      </Empty>
    );
  }
  return (
    <>
      <h2 class="visually-hidden">Newest videos</h2>
      <div class="video-grid">
        {pages.items.map((video) => (
          <VideoCard key={video.id} video={video} />
        ))}
      </div>
      <ListEnd pages={pages} />
    </>
  );
}

function Posts() {
  const pages = usePages<Post>("/feed/explore");
  return (
    <div class="reading stack loose">
      <h2 class="visually-hidden">Newest posts</h2>
      <FeedList
        pages={pages}
        label="Newest posts"
        empty={
          <Empty title="Nothing posted yet">
            <p class="muted">The first post could be yours.</p>
            <a class="button primary" href="/">
              Write one
            </a>
          </Empty>
        }
      />
    </div>
  );
}
