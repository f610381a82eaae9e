/** A moment in words with its exact time behind it, and a text with its mentions and links. */
import { formatAgo, splitText } from "./words";

export function Ago({ at }: { at: string }) {
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()} class="data muted">
      {formatAgo(at, Date.now())}
    </time>
  );
}

export function RichText({ text }: { text: string }) {
  return (
    <>
      {splitText(text).map((piece, index) => {
        if (piece.kind === "mention") {
          return (
            <a key={index} href={`/u/${piece.text.slice(1).toLowerCase()}`}>
              {piece.text}
            </a>
          );
        }
        if (piece.kind === "link") {
          return (
            <a key={index} href={piece.text} target="_blank" rel="noopener noreferrer nofollow">
              {piece.text.replace(/^https?:\/\//, "")}
            </a>
          );
        }
        return piece.text;
      })}
    </>
  );
}
