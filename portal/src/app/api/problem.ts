/** A place of an object where what one sent and what is there differ. */
export interface ChangedField {
  path: string;
  yours?: unknown;
  theirs?: unknown;
}

/** Why a request was not answered: the plane's problem details, or what stood in the way to the plane. */
export class Problem extends Error {
  constructor(
    /** The HTTP status; 0 where there was no answer. */
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly changed: ChangedField[] = [],
    readonly requestId?: string,
  ) {
    super(detail || title);
  }

  static unreachable(cause: unknown): Problem {
    const said = cause instanceof Error ? cause.message : String(cause);
    return new Problem(0, 'The plane cannot be reached', `Is it running, and is this machine online? (${said})`);
  }

  static of(error: unknown): Problem {
    return error instanceof Problem ? error : new Problem(0, 'Something unforeseen', String(error));
  }

  static async from(response: Response): Promise<Problem> {
    const id = response.headers.get('X-Request-Id') ?? undefined;
    const text = await response.text().catch(() => '');
    try {
      const said = JSON.parse(text) as { title?: string; detail?: string; changed?: ChangedField[] };
      const title = said.title ?? response.statusText;
      return new Problem(response.status, title, said.detail ?? title, said.changed ?? [], id);
    } catch {
      return new Problem(response.status, response.statusText || `HTTP ${response.status}`, text.slice(0, 300), [], id);
    }
  }
}

/** What a person can do about it, where the plane itself has not said so. */
export function advice(problem: Problem): string {
  switch (problem.status) {
    case 0:
      return 'It is tried again as soon as the connection is back.';
    case 401:
      return 'Your session has ended: sign in again.';
    case 403:
      return problem.detail.includes('orbit-viewer')
        ? ''
        : 'Ask whoever administers this namespace to bind you one of the ClusterRoles orbit-viewer, orbit-developer, orbit-approver or orbit-admin.';
    case 404:
      return 'Is the namespace the right one? It may also have been deleted meanwhile.';
    case 429:
      return 'That was too much at once: wait a moment.';
    default:
      return problem.status >= 500 ? 'Nothing is lost. Try again in a moment.' : '';
  }
}
