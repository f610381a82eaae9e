/** Saves a table that is its owner's alone, so that a plain link would not do. */
import { getAccessToken } from "./session";
import { showError } from "./toasts";

export async function saveTable(path: string, filename: string): Promise<void> {
  try {
    const token = await getAccessToken();
    const answer = await fetch(`/v1${path}`, { headers: token ? { Authorization: `Bearer ${token}` } : {} });
    if (!answer.ok) throw new Error("The table could not be had.");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = filename;
    link.click();
    URL.revokeObjectURL(link.href);
  } catch (error) {
    showError(error);
  }
}
