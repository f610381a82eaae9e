/** What a dialog does when its owner saves: work, say so and close, or say what is wrong. */
import { useState } from "preact/hooks";
import { describeError } from "../kit/errors";
import { showToast } from "../kit/toasts";

interface Saving {
  problem: string | null;
  isBusy: boolean;
  setProblem: (problem: string | null) => void;
  /** Runs the work, which returns what to say when it is done. */
  act: (work: () => Promise<string>) => Promise<void>;
}

export function useSaving(onClose: () => void): Saving {
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const act = async (work: () => Promise<string>) => {
    setBusy(true);
    setProblem(null);
    try {
      showToast(await work());
      onClose();
    } catch (error) {
      setProblem(describeError(error));
      setBusy(false);
    }
  };
  return { problem, isBusy, setProblem, act };
}
