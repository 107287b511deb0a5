/** Samples that are looked back at, in milliseconds. */
const WINDOW = 8_000;

/** How fast bytes go, over the last seconds. */
export class Speed {
  private samples: { at: number; bytes: number }[] = [];

  record(bytes: number, at: number): void {
    // What was sent before a step back never arrived.
    const last = this.samples.at(-1);
    if (last && bytes < last.bytes) {
      this.samples = [];
    }
    this.samples.push({ at, bytes });
    while ((this.samples[0]?.at ?? at) < at - WINDOW) {
      this.samples.shift();
    }
  }

  /** Bytes in a second; nothing until there is enough to tell. */
  get perSecond(): number | undefined {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    if (!first || !last || last.at - first.at < 400) {
      return undefined;
    }
    return ((last.bytes - first.bytes) * 1000) / (last.at - first.at);
  }
}
