/** Who subscribes to one's channel: complimentary subscriptions are given, moved and ended here. */
import { useState } from "preact/hooks";
import { api } from "../kit/api";
import { Avatar, nameOf } from "../kit/avatar";
import { Confirm, Dialog } from "../kit/dialog";
import { describeError } from "../kit/errors";
import { TextField } from "../kit/field";
import { usePages } from "../kit/load";
import { useTitle } from "../kit/router";
import { Empty, Failure, ListEnd, Skeleton } from "../kit/states";
import { showError, showToast } from "../kit/toasts";
import { writeLocal } from "../live/schedule";
import { EndField } from "../subscriptions/end_field";
import { describeSubscription, readEnd, type EndDraft, type Subscription } from "../subscriptions/shapes";
import { useSaving } from "./saving";
import "../subscriptions/list.css";

const OPEN: EndDraft = { span: "open", text: "" };

export default function SubscribersPage() {
  useTitle("Subscribers");
  const pages = usePages<Subscription>("/subscribers");
  const put = (given: Subscription) =>
    pages.change((items) => [given, ...items.filter((item) => item.id !== given.id)]);
  const change = (moved: Subscription) =>
    pages.change((items) => items.map((item) => (item.id === moved.id ? moved : item)));
  const drop = (id: string) => pages.change((items) => items.filter((item) => item.id !== id));
  return (
    <div class="page subscribers">
      <header class="page-head full">
        <h1>Subscribers</h1>
        <a class="button" href="/studio">
          Back to the studio
        </a>
      </header>
      <GiftForm onGiven={put} />
      <section class="stack" aria-labelledby="subscribers">
        <h2 id="subscribers">Who subscribes to you</h2>
        {pages.error !== null && pages.items.length === 0 && <Failure error={pages.error} onRetry={pages.reload} />}
        {pages.loading && pages.items.length === 0 && <Skeleton shape="line" count={3} />}
        {!pages.loading && pages.error === null && pages.items.length === 0 && (
          <Empty title="Nobody yet">
            <p class="muted">Give somebody a subscription, and they see what you show to subscribers.</p>
          </Empty>
        )}
        <ul class="subscription-rows">
          {pages.items.map((row) => (
            <SubscriberRow key={row.id} row={row} onChange={change} onEnded={drop} />
          ))}
        </ul>
        <ListEnd pages={pages} />
      </section>
    </div>
  );
}

function GiftForm({ onGiven }: { onGiven: (given: Subscription) => void }) {
  const [name, setName] = useState("");
  const [end, setEnd] = useState<EndDraft>(OPEN);
  const [problem, setProblem] = useState<{ field: "name" | "end"; text: string } | null>(null);
  const [isBusy, setBusy] = useState(false);
  const username = name.trim().replace(/^@/, "");
  const give = async () => {
    const read = readEnd(end, Date.now());
    if ("problem" in read) return setProblem({ field: "end", text: read.problem });
    setBusy(true);
    setProblem(null);
    try {
      const given = await api.put<Subscription>(`/subscribers/${encodeURIComponent(username)}`, read);
      onGiven(given);
      showToast(`${nameOf(given.user)} subscribes to you now.`);
      setName("");
      setEnd(OPEN);
    } catch (error) {
      setProblem({ field: "name", text: describeError(error) });
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="card gift-form"
      aria-labelledby="gift"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (username !== "") void give();
      }}
    >
      <div>
        <h2 id="gift">Give a subscription</h2>
        <p class="muted">It costs them nothing. They hear of it at their bell.</p>
      </div>
      <TextField
        label="To whom"
        problem={problem?.field === "name" ? problem.text : null}
        value={name}
        autocomplete="off"
        isProse={false}
        placeholder="username"
        testId="gift-name"
        onChange={setName}
      />
      <EndField value={end} problem={problem?.field === "end" ? problem.text : null} onChange={setEnd} />
      <button
        type="submit"
        class="button primary"
        disabled={username === "" || isBusy}
        data-testid="gift-give"
      >
        {isBusy ? "Giving…" : "Give it"}
      </button>
    </form>
  );
}

interface RowProps {
  row: Subscription;
  onChange: (moved: Subscription) => void;
  onEnded: (id: string) => void;
}

function SubscriberRow({ row, onChange, onEnded }: RowProps) {
  const [open, setOpen] = useState<"end" | "move" | null>(null);
  const { user } = row;
  const end = async () => {
    try {
      await api.delete(`/subscribers/${user.username}`);
      onEnded(row.id);
      showToast(`${nameOf(user)} subscribes no more.`);
    } catch (error) {
      showError(error);
    }
  };
  return (
    <li data-testid="subscriber">
      <Avatar user={user} size={44} />
      <div class="grow">
        <a class="plain" href={`/u/${user.username}`}>
          <strong>{nameOf(user)}</strong> <span class="data muted">@{user.username}</span>
        </a>
        <p class="data muted">{describeSubscription(row)}</p>
      </div>
      {row.source === "gift" && (
        <div class="row tight">
          <button type="button" class="button small" data-testid="gift-move" onClick={() => setOpen("move")}>
            Change the end<span class="visually-hidden"> for {nameOf(user)}</span>
          </button>
          <button type="button" class="button small" data-testid="gift-end" onClick={() => setOpen("end")}>
            End now<span class="visually-hidden"> for {nameOf(user)}</span>
          </button>
        </div>
      )}
      {open === "move" && <MoveDialog row={row} onMoved={onChange} onClose={() => setOpen(null)} />}
      {open === "end" && (
        <Confirm
          title={`End the subscription of ${nameOf(user)}?`}
          text="What they have open for your subscribers closes at once. You can give another one later."
          action="End it"
          onConfirm={() => void end()}
          onClose={() => setOpen(null)}
        />
      )}
    </li>
  );
}

interface MoveProps {
  row: Subscription;
  onMoved: (moved: Subscription) => void;
  onClose: () => void;
}

function MoveDialog({ row, onMoved, onClose }: MoveProps) {
  const [end, setEnd] = useState<EndDraft>(
    row.until === null ? OPEN : { span: "time", text: writeLocal(Date.parse(row.until)) },
  );
  const { problem, isBusy, setProblem, act } = useSaving(onClose);
  const save = () => {
    const read = readEnd(end, Date.now());
    if ("problem" in read) return setProblem(read.problem);
    return void act(async () => {
      onMoved(await api.put<Subscription>(`/subscribers/${row.user.username}`, read));
      return "Saved.";
    });
  };
  return (
    <Dialog title="When does it end?" onClose={onClose}>
      <form
        class="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        <p class="muted clip">{nameOf(row.user)}</p>
        <EndField value={end} problem={problem} onChange={setEnd} />
        {problem && end.span !== "time" && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <div class="row dialog-actions">
          <button type="submit" class="button primary" disabled={isBusy} data-testid="gift-save">
            Save
          </button>
        </div>
      </form>
    </Dialog>
  );
}
