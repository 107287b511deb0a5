import type { HashMessage } from './hash.worker';

/** Computes `sha256:<hex>` of a file in a thread of its own. */
export type Hasher = (file: Blob, progress: (done: number) => void, abort: AbortSignal) => Promise<string>;

export const hashInWorker: Hasher = (file, progress, abort) =>
  new Promise((resolve, reject) => {
    const worker = start();
    const end = (): void => {
      worker.terminate();
      abort.removeEventListener('abort', cancelled);
    };
    const cancelled = (): void => {
      end();
      reject(new DOMException('cancelled', 'AbortError'));
    };
    abort.addEventListener('abort', cancelled);
    worker.onmessage = ({ data }: MessageEvent<HashMessage>) => {
      if ('done' in data) {
        progress(data.done);
      } else if ('sha256' in data) {
        end();
        resolve(`sha256:${data.sha256}`);
      } else {
        end();
        reject(new Error(data.error));
      }
    };
    worker.onerror = (event) => {
      end();
      reject(new Error(event.message || 'the file cannot be read'));
    };
    worker.postMessage(file);
  });

interface Policy {
  createScriptURL(url: string): string;
}

/**
 * Where Trusted Types are enforced, the address of a script has to have come through a policy. The builder finds workers
 * by the form `new Worker(new URL(…))` alone, so the name stands for a constructor that asks the policy first.
 */
function start(): Worker {
  const Worker = trustedWorker() ?? globalThis.Worker;
  return new Worker(new URL('./hash.worker', import.meta.url), { type: 'module' });
}

let policy: Policy | undefined;

function trustedWorker(): typeof Worker | undefined {
  const { trustedTypes } = globalThis as { trustedTypes?: { createPolicy(name: string, rules: Policy): Policy } };
  if (!trustedTypes) {
    return undefined;
  }
  policy ??= trustedTypes.createPolicy('orbit#worker', { createScriptURL: ofThisOrigin });
  const trusted = policy;
  return class extends Worker {
    constructor(url: URL, options: WorkerOptions) {
      super(trusted.createScriptURL(url.href), options);
    }
  } as typeof Worker;
}

function ofThisOrigin(url: string): string {
  if (new URL(url).origin !== location.origin) {
    throw new Error('workers come from this origin only');
  }
  return url;
}
