/** A list of posts page by page, with its loading, empty and failed states. */
import type { ComponentChildren } from "preact";
import type { Pages } from "../kit/load";
import { Failure, ListEnd, Skeleton } from "../kit/states";
import { PostCard } from "./card";
import type { Post } from "./shapes";

interface FeedListProps {
  pages: Pages<Post>;
  empty: ComponentChildren;
  label: string;
}

export function FeedList({ pages, empty, label }: FeedListProps) {
  if (pages.items.length === 0) {
    if (pages.error !== null) return <Failure error={pages.error} onRetry={pages.reload} />;
    if (pages.loading) return <Skeleton shape="post" count={2} />;
    return <>{empty}</>;
  }
  return (
    <>
      <div class="feed" role="feed" aria-label={label} aria-busy={pages.loading}>
        {pages.items.map((post) => (
          <PostCard
            key={post.id}
            post={post}
            onDeleted={(id) => pages.change((items) => items.filter((item) => item.id !== id))}
          />
        ))}
      </div>
      <ListEnd pages={pages} />
    </>
  );
}
