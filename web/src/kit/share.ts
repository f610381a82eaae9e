/** Hands the present address to whoever the person chooses, or to the clipboard. */
import { ApiError } from "./errors";
import { showError, showToast } from "./toasts";

export async function copyText(text: string, done: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    showToast(done);
  } catch {
    showError(new ApiError("clipboard", 0, "Copying is not allowed here. Select the text and copy it yourself."));
  }
}

export async function shareAddress(title: string, path = window.location.pathname): Promise<void> {
  const url = new URL(path, window.location.origin).href;
  if (navigator.share && window.matchMedia("(pointer: coarse)").matches) {
    await navigator.share({ title, url }).catch(() => undefined);
    return;
  }
  await copyText(url, "Link copied.");
}
