/** Hands the present address to whoever the person chooses, or to the clipboard. */
import { ApiError } from "./errors";
import { showError, showToast } from "./toasts";

/** Says whether it was copied. */
export async function copyText(text: string, done: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    showToast(done);
    return true;
  } catch {
    showError(new ApiError("clipboard", 0, "Copying is not allowed here. Select the text and copy it yourself."));
    return false;
  }
}

/** Says whether somebody or the clipboard got it. */
export async function shareAddress(title: string, path = window.location.pathname): Promise<boolean> {
  const url = new URL(path, window.location.origin).href;
  if (navigator.share && window.matchMedia("(pointer: coarse)").matches) {
    return navigator.share({ title, url }).then(
      () => true,
      () => false,
    );
  }
  return copyText(url, "Link copied.");
}
