/**
 * What is being opened of a camera or a screen: a browser may ask the person first, who may have left the page when the
 * answer comes. What comes then is stopped at once, since nobody else would.
 */
export class Openings {
  #closings = 0;

  /** Whatever is on its way is not wanted any more. */
  close(): void {
    this.#closings += 1;
  }

  /** Resolves with the stream; with null, its tracks stopped, when everything was closed meanwhile. */
  async wait(opening: Promise<MediaStream>): Promise<MediaStream | null> {
    const before = this.#closings;
    const stream = await opening;
    if (before === this.#closings) return stream;
    stream.getTracks().forEach((track) => track.stop());
    return null;
  }
}
