/** The moderators' desk of a room: what waits, the rules, the people, and what is said in the room's name. */
import { useState } from "preact/hooks";
import { Tabs } from "../kit/tabs";
import { HeldQueue, useHeldLines } from "./desk_held";
import { PeoplePanel } from "./desk_people";
import { RulesPanel } from "./desk_rules";
import { AnnouncementForm, RaidForm } from "./desk_say";
import type { ChatRules, Rank } from "./room_rules";
import "./desk.css";

interface DeskProps {
  roomId: string;
  rank: Exclude<Rank, "guest">;
  rules: ChatRules;
  socketUrl: string | null;
}

type Side = "held" | "rules" | "people" | "say";

export function Desk({ roomId, rank, rules, socketUrl }: DeskProps) {
  const [side, setSide] = useState<Side>("held");
  const held = useHeldLines(roomId, socketUrl);
  const isOwner = rank === "owner";
  const waiting = held.lines.length;
  return (
    <section class="card desk" aria-label="Moderation" data-testid="desk">
      <p class="visually-hidden" role="status">
        {waiting > 0 ? `${waiting} ${waiting === 1 ? "line waits" : "lines wait"} for you.` : ""}
      </p>
      <Tabs
        label="Moderation"
        tabs={[
          { value: "held", label: waiting > 0 ? `Held (${waiting})` : "Held" },
          { value: "rules", label: "Rules" },
          { value: "people", label: "People" },
          { value: "say", label: isOwner ? "Announce & raid" : "Announce" },
        ]}
        value={side}
        onChange={setSide}
      >
        {side === "held" && <HeldQueue roomId={roomId} held={held} />}
        {side === "rules" && <RulesPanel roomId={roomId} rules={rules.rules} canChange={isOwner} />}
        {side === "people" && (
          <PeoplePanel roomId={roomId} moderators={rules.moderators} canAppoint={isOwner} socketUrl={socketUrl} />
        )}
        {side === "say" && (
          <div class="stack loose">
            <AnnouncementForm roomId={roomId} />
            {isOwner && <RaidForm roomId={roomId} />}
          </div>
        )}
      </Tabs>
    </section>
  );
}
