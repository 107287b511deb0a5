import { SendFailure, SessionPort, TryAgain } from './session';

/** What authorises the requests of a session. */
export interface Credentials {
  key: string;
  csrf: () => string;
}

/** The path of a session on this origin, whatever host the plane is known by elsewhere. */
export function sessionPath(url: string): string {
  return new URL(url, location.origin).pathname;
}

/** An upload session over HTTP. `fetch` does not tell how much of a body has left, so it is XMLHttpRequest. */
export class HttpSession implements SessionPort {
  constructor(
    private readonly path: string,
    private readonly credentials: Credentials,
  ) {}

  async offset(abort: AbortSignal): Promise<number> {
    return position(await this.request('GET', this.path, abort));
  }

  async append(at: number, bytes: Blob, sent: (bytes: number) => void, abort: AbortSignal): Promise<number> {
    const headers = {
      'Content-Type': 'application/octet-stream',
      'Content-Range': `${at}-${at + bytes.size - 1}`,
    };
    const answer = await this.request('PATCH', this.path, abort, headers, bytes, sent);
    return position(answer);
  }

  async finish(sha256: string, abort: AbortSignal): Promise<void> {
    const answer = await this.request('PUT', `${this.path}?digest=${encodeURIComponent(sha256)}`, abort);
    if (answer.status !== 201) {
      throw new TryAgain('The plane lacks some bytes');
    }
  }

  async cancel(): Promise<void> {
    await this.request('DELETE', this.path, new AbortController().signal);
  }

  private request(
    method: string,
    path: string,
    abort: AbortSignal,
    headers: Record<string, string> = {},
    body?: Blob,
    sent?: (bytes: number) => void,
  ): Promise<XMLHttpRequest> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open(method, path);
      request.setRequestHeader('Authorization', `Bearer ${this.credentials.key}`);
      request.setRequestHeader('X-Orbit-CSRF', this.credentials.csrf());
      for (const [name, value] of Object.entries(headers)) {
        request.setRequestHeader(name, value);
      }
      const cancelled = (): void => request.abort();
      abort.addEventListener('abort', cancelled);
      request.upload.onprogress = ({ loaded }) => sent?.(loaded);
      request.onerror = () => reject(new TryAgain('The connection was lost'));
      request.onabort = () => reject(new DOMException('paused', 'AbortError'));
      request.onloadend = () => abort.removeEventListener('abort', cancelled);
      request.onload = () => {
        const failure = failureOf(request);
        if (failure) {
          reject(failure);
        } else {
          resolve(request);
        }
      };
      request.send(body);
    });
  }
}

function position(request: XMLHttpRequest): number {
  const offset = Number(request.getResponseHeader('Orbit-Upload-Offset') ?? Number.NaN);
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new SendFailure('refused', 'The answer does not say how many bytes have arrived.');
  }
  return offset;
}

/** What an answer other than the one hoped for means. 416 only says that the session stands elsewhere. */
function failureOf(request: XMLHttpRequest): Error | undefined {
  const { status } = request;
  if (status < 400 || (status === 416 && request.getResponseHeader('Orbit-Upload-Offset') !== null)) {
    return status === 416 ? new TryAgain('The plane stands elsewhere in the archive') : undefined;
  }
  const said = message(request);
  const isProblem = request.getResponseHeader('Content-Type')?.startsWith('application/problem+json') ?? false;
  if (status === 401) {
    return isProblem
      ? new SendFailure('signedOut', 'Your session has ended: sign in again, and go on.')
      : new SendFailure('key', 'Another upload for the same application has taken over. Start this one again.');
  }
  if (status === 404) {
    return new SendFailure('gone', 'The upload session has ended or expired. Start the upload again.');
  }
  if (status === 408 || status === 429 || status >= 500) {
    return new TryAgain(said || `The plane answers ${status}`);
  }
  if (status === 400 && request.getResponseHeader('Orbit-Upload-Offset') !== null) {
    return new SendFailure('changed', 'The file changed while it was sent: start again once it is complete.');
  }
  return new SendFailure('refused', said || `The plane answers ${status}`);
}

function message(request: XMLHttpRequest): string {
  try {
    const body = JSON.parse(request.responseText) as { errors?: { message?: string }[]; detail?: string };
    return body.errors?.[0]?.message ?? body.detail ?? '';
  } catch {
    return '';
  }
}
