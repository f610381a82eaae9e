/** The first page: one's own feed, or for a visitor the invitation and what everyone posts. */
import { usePages } from "../kit/load";
import { useTitle } from "../kit/router";
import { currentUser, type SessionUser } from "../kit/session";
import { Empty } from "../kit/states";
import { useStore } from "../kit/store";
import { ContinueWatching } from "../history/continue_watching";
import { Composer } from "../posts/composer";
import { FeedList } from "../posts/feed_list";
import type { Post } from "../posts/shapes";
import { HomeHints } from "./hints";
import { Invitation } from "./invitation";
import { OnAirNow } from "./on_air_now";
import "./page.css";

export default function HomePage() {
  const user = useStore(currentUser);
  useTitle(null);
  return user ? <MemberHome user={user} /> : <VisitorHome />;
}

function MemberHome({ user }: { user: SessionUser }) {
  const pages = usePages<Post>("/feed/home");
  return (
    <div class="page split">
      <div class="stack loose">
        <h1 class="visually-hidden">Home</h1>
        <div>
          <Composer user={user} onPosted={(post) => pages.change((items) => [post, ...items])} />
          <HomeHints userId={user.id} onShow={pages.reload} />
        </div>
        <ContinueWatching />
        <FeedList
          pages={pages}
          label="Your feed"
          empty={
            <Empty title="Your feed starts with one follow">
              <p class="muted">Follow people and what they post appears here, newest first.</p>
              <a class="button primary" href="/explore">
                Find people
              </a>
            </Empty>
          }
        />
      </div>
      <OnAirNow />
    </div>
  );
}

function VisitorHome() {
  const pages = usePages<Post>("/feed/explore");
  return (
    <div class="page split">
      <Invitation />
      <div class="stack loose">
        <h2>What people post</h2>
        <FeedList
          pages={pages}
          label="Latest posts"
          empty={
            <Empty title="Nothing posted yet">
              <p class="muted">This server is new. The first post could be yours.</p>
            </Empty>
          }
        />
      </div>
      <OnAirNow />
    </div>
  );
}
