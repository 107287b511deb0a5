/// <reference lib="webworker" />
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

/** Bytes between two words about how far it is. */
const EVERY = 4 << 20;

export type HashMessage = { done: number } | { sha256: string } | { error: string };

addEventListener('message', ({ data }: MessageEvent<Blob>) => {
  void hash(data).catch((error: unknown) => postMessage({ error: String(error) } satisfies HashMessage));
});

/** As a stream: an archive may be larger than the memory. */
async function hash(file: Blob): Promise<void> {
  const digest = sha256.create();
  const reader = file.stream().getReader();
  let [done, told] = [0, 0];
  for (;;) {
    const { value, done: end } = await reader.read();
    if (end) {
      break;
    }
    digest.update(value);
    done += value.length;
    if (done - told >= EVERY) {
      told = done;
      postMessage({ done } satisfies HashMessage);
    }
  }
  postMessage({ sha256: bytesToHex(digest.digest()) } satisfies HashMessage);
}
