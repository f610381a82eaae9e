/**
 * Something that opens beside its button: closed by Escape (the focus returns to the button), by a
 * press elsewhere, and when the focus leaves it. `root` holds both; the button comes first in it.
 */
import { useEffect, useRef, useState } from "preact/hooks";

export interface Popover {
  root: { current: HTMLDivElement | null };
  isOpen: boolean;
  toggle: () => void;
  close: () => void;
  onKeyDown: (event: KeyboardEvent) => void;
}

export function usePopover(): Popover {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isOpen) return undefined;
    const closeOutside = (event: Event) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", closeOutside);
    document.addEventListener("focusin", closeOutside);
    return () => {
      document.removeEventListener("pointerdown", closeOutside);
      document.removeEventListener("focusin", closeOutside);
    };
  }, [isOpen]);
  return {
    root,
    isOpen,
    toggle: () => setOpen(!isOpen),
    close: () => setOpen(false),
    onKeyDown: (event) => {
      if (event.key !== "Escape" || !isOpen) return;
      setOpen(false);
      root.current?.querySelector("button")?.focus();
    },
  };
}
