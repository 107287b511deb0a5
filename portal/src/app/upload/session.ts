/** Why an upload does not go on. */
export class SendFailure extends Error {
  constructor(
    readonly kind: 'key' | 'gone' | 'refused' | 'changed' | 'signedOut',
    message: string,
  ) {
    super(message);
  }
}

/** No answer, or one that trying again may change. */
export class TryAgain extends Error {}

/** An upload session on the plane's side. All reject with `SendFailure` or `TryAgain`. */
export interface SessionPort {
  /** Bytes that have arrived. */
  offset(abort: AbortSignal): Promise<number>;
  /** Sends the bytes from `at` on; tells how many have arrived then. */
  append(at: number, bytes: Blob, sent: (bytes: number) => void, abort: AbortSignal): Promise<number>;
  /** All is sent: the plane verifies it. */
  finish(sha256: string, abort: AbortSignal): Promise<void>;
  cancel(): Promise<void>;
}

export interface Sending {
  file: Blob;
  sha256: string;
  port: SessionPort;
  /** Bytes that are on the plane's side or on the wire. */
  progress: (sent: number) => void;
  /** What is in the way at the moment; nothing when nothing is. */
  trouble: (text: string | undefined) => void;
  abort: AbortSignal;
  chunk?: number;
  pause?: (milliseconds: number) => Promise<void>;
}

const CHUNK = 8 << 20;
const MAX_PAUSE = 15_000;

/**
 * Sends a file from wherever the plane says it stands. After anything that went wrong it is asked again, so that a lost
 * connection, a lost answer and a plane that was started anew are one case. It is tried until it is paused or refused.
 */
export async function send(sending: Sending): Promise<void> {
  const { file, port, abort, chunk = CHUNK, pause = wait } = sending;
  let failures = 0;
  let known: number | undefined;
  for (;;) {
    abort.throwIfAborted();
    try {
      if (known === undefined) {
        known = await port.offset(abort);
        sending.progress(known);
      } else if (known < file.size) {
        const at: number = known;
        const bytes = file.slice(at, at + chunk);
        const now = await port.append(at, bytes, (sent) => sending.progress(at + sent), abort);
        if (now <= at) {
          throw new TryAgain('The plane kept nothing of what was sent');
        }
        failures = 0;
        known = now;
        sending.progress(now);
      } else {
        await port.finish(sending.sha256, abort);
        return;
      }
      sending.trouble(undefined);
    } catch (error) {
      if (abort.aborted || !(error instanceof TryAgain)) {
        throw error;
      }
      sending.trouble(`${error.message}. Trying again.`);
      known = undefined;
      await pause(Math.min(250 * 2 ** failures++, MAX_PAUSE));
    }
  }
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
