/** The studio: upload, and one's own videos with what became of them. */
import { useEffect } from "preact/hooks";
import { Icon } from "../kit/icons";
import { usePages } from "../kit/load";
import { useTitle } from "../kit/router";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { useStore } from "../kit/store";
import type { Video } from "../videos/shapes";
import { ImportForm } from "./import_form";
import { UploadForm } from "./upload_form";
import { UploadRow } from "./upload_row";
import { uploads } from "./uploads";
import { VideoRow } from "./video_row";
import "./page.css";

export default function StudioPage() {
  useTitle("Studio");
  const pages = usePages<Video>("/videos", { owner: "me" });
  const running = useStore(uploads);
  const done = running.filter((item) => item.state === "done").length;
  useEffect(() => {
    if (done > 0) pages.reload();
  }, [done]);
  const sending = running.filter((item) => item.state !== "done");
  const listed = pages.items.filter((video) => !sending.some((item) => item.videoId === video.id));
  return (
    <div class="page studio">
      <header class="page-head full">
        <h1>Studio</h1>
        <div class="row tight">
          <a class="button" href="/studio/subscribers" data-testid="to-subscribers">
            <Icon name="people" size={20} /> Subscribers
          </a>
          <a class="button" href="/studio/trash" data-testid="to-trash">
            <Icon name="trash" size={20} /> Trash
          </a>
          <a class="button live" href="/studio/live">
            <Icon name="live" size={20} /> Go live
          </a>
        </div>
      </header>
      <div class="stack studio-ways">
        <UploadForm onStarted={() => undefined} />
        <ImportForm onStarted={pages.reload} />
      </div>
      <section class="stack" aria-labelledby="mine">
        <h2 id="mine">My videos</h2>
        <ul class="studio-rows">
          {sending.map((item) => (
            <UploadRow
              key={item.videoId}
              item={item}
              onGone={() => pages.change((videos) => videos.filter((video) => video.id !== item.videoId))}
            />
          ))}
          {listed.map((video) => (
            <VideoRow key={video.id} video={video} onChange={pages.change} />
          ))}
        </ul>
        {pages.error !== null && listed.length === 0 && <Failure error={pages.error} onRetry={pages.reload} />}
        {pages.loading && listed.length === 0 && <Skeleton shape="row" count={3} />}
        {!pages.loading && pages.error === null && listed.length + sending.length === 0 && (
          <Empty title="Nothing here yet">
            <p class="muted">Upload your first video. It starts to play seconds after it arrives.</p>
          </Empty>
        )}
        <ListEnd pages={pages} />
      </section>
    </div>
  );
}
