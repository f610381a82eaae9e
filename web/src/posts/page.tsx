/** One post with its comments. */
import { Comments } from "../comments/comments";
import { api } from "../kit/api";
import { nameOf } from "../kit/avatar";
import { ApiError } from "../kit/errors";
import { useLoad } from "../kit/load";
import { navigate, useTitle } from "../kit/router";
import { Failure, Skeleton } from "../kit/states";
import type { PageProps } from "../shell/routes";
import { Gate } from "../subscriptions/gate";
import { findGate } from "../subscriptions/shapes";
import { PostCard } from "./card";
import type { Post } from "./shapes";

export default function PostPage({ parameters }: PageProps) {
  const id = parameters["id"] ?? "";
  const post = useLoad<Post>(id, (signal) => api.get<Post>(`/posts/${id}`, { signal }));
  useTitle(post.data ? `Post by ${nameOf(post.data.author)}` : null);
  const gate = findGate(post.error);
  if (gate) {
    return (
      <div class="page narrow">
        <Gate owner={gate} what="This post" onRetry={post.reload} />
      </div>
    );
  }
  if (post.error !== null && post.data === null) {
    const isGone = post.error instanceof ApiError && (post.error.status === 404 || post.error.status === 422);
    return (
      <div class="page narrow">
        <Failure
          level={1}
          title={isGone ? "This post is not here" : "The post did not load"}
          error={isGone ? new ApiError("not_found", 404, "It may be private or deleted.") : post.error}
          {...(isGone ? {} : { onRetry: post.reload })}
        />
      </div>
    );
  }
  return (
    <div class="page narrow">
      <h1 class="visually-hidden">{post.data ? `Post by ${nameOf(post.data.author)}` : "Post"}</h1>
      {post.data ? (
        <>
          <PostCard post={post.data} isAlone onDeleted={() => navigate("/", true)} />
          <Comments place={{ kind: "post", id, ownerId: post.data.author.id }} />
        </>
      ) : (
        <Skeleton shape="post" />
      )}
    </div>
  );
}
