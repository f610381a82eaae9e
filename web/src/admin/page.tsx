/** Administration: people with their roles and bans, where rooms run, and the record of acts. */
import { useState } from "preact/hooks";
import { useTitle } from "../kit/router";
import { currentUser } from "../kit/session";
import { Empty } from "../kit/states";
import { useStore } from "../kit/store";
import { Tabs } from "../kit/tabs";
import { People } from "./people";
import { Acts } from "./acts";
import { Rooms } from "./rooms";
import { rankOf } from "./shapes";
import "./page.css";

type Tab = "people" | "rooms" | "record";

export default function AdminPage() {
  useTitle("Administration");
  const user = useStore(currentUser);
  const [tab, setTab] = useState<Tab>("people");
  const rank = rankOf(user?.role);
  if (rank < rankOf("moderator")) {
    return (
      <Empty title="This page is for moderators" level={1}>
        <p class="muted">Somebody who administers this site can give you the role.</p>
      </Empty>
    );
  }
  const isAdmin = rank >= rankOf("admin");
  const tabs: { value: Tab; label: string }[] = [{ value: "people", label: "People" }];
  if (isAdmin) tabs.push({ value: "rooms", label: "Rooms" }, { value: "record", label: "Record" });
  return (
    <div class="page admin">
      <header class="page-head full">
        <h1>Administration</h1>
      </header>
      <Tabs label="Administration" tabs={tabs} value={tab} onChange={setTab}>
        {tab === "people" && <People isAdmin={isAdmin} />}
        {tab === "rooms" && <Rooms />}
        {tab === "record" && <Acts />}
      </Tabs>
    </div>
  );
}
