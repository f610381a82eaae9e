/** What else can be done with something: a button, and a list of named actions beside it. */
import { Fragment } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Icon, type IconName } from "./icons";
import { usePopover } from "./popover";
import "./menu.css";

export interface MenuAction {
  name: string;
  icon: IconName;
  onChoose: () => void;
  testId?: string;
  /** It cannot be taken back: set apart, last. */
  isGrave?: boolean;
}

/** `of` names what the actions are about, for those who do not see where the button stands. */
export function MoreMenu({ of, actions }: { of: string; actions: MenuAction[] }) {
  const { root, isOpen, toggle, close, onKeyDown } = usePopover();
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  useEffect(() => {
    if (isOpen) list.current?.scrollIntoView({ block: "nearest" });
  }, [isOpen]);
  const choose = (action: MenuAction) => {
    close();
    // Whatever opens now gives the focus back to here.
    root.current?.querySelector("button")?.focus();
    action.onChoose();
  };
  return (
    <div ref={root} class="more" onKeyDown={onKeyDown}>
      <button
        type="button"
        class="icon-button"
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        aria-label={`More for ${of}`}
        data-testid="more"
        onClick={toggle}
      >
        <Icon name="more" size={20} />
      </button>
      {isOpen && (
        <div id={id} ref={list} class="menu">
          {actions.map((action) => (
            <Fragment key={action.name}>
              {action.isGrave && <hr />}
              <button
                type="button"
                class={action.isGrave ? "grave" : undefined}
                data-testid={action.testId}
                onClick={() => choose(action)}
              >
                <Icon name={action.icon} size={18} /> {action.name}
              </button>
            </Fragment>
          ))}
        </div>
      )}
    </div>
  );
}
