import { TestBed } from '@angular/core/testing';
import { Http, queryString } from './http';
import { Problem } from './problem';

function answer(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(body === undefined ? null : JSON.stringify(body), { status, headers });
}

describe('Http', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('brings the CSRF token along with what changes something, and only with that', async () => {
    const asked: RequestInit[] = [];
    vi.stubGlobal('fetch', async (_: string, init: RequestInit) => {
      asked.push(init);
      return answer(200, { a: 1 }, { ETag: '"7"' });
    });
    const http = TestBed.inject(Http);
    http.csrfToken.set('secret');
    await http.send('GET', '/api/v1/session');
    const { data, etag } = await http.send('PUT', '/x', { body: {}, headers: { 'If-Match': '"6"' } });
    expect(asked[0]?.headers).not.toHaveProperty('X-Orbit-CSRF');
    expect(asked[1]?.headers).toMatchObject({ 'X-Orbit-CSRF': 'secret', 'If-Match': '"6"' });
    expect([data, etag]).toEqual([{ a: 1 }, '"7"']);
  });

  it('tells a refusal in the words of the plane, with what changed', async () => {
    const changed = [{ path: 'spec.version', yours: 1, theirs: 2 }];
    vi.stubGlobal('fetch', async () =>
      answer(412, { status: 412, title: 'Precondition Failed', detail: 'changed', changed }, { 'X-Request-Id': 'r1' }),
    );
    const problem = await TestBed.inject(Http)
      .send('GET', '/x')
      .catch((error: unknown) => error as Problem);
    expect(problem).toBeInstanceOf(Problem);
    expect(problem).toMatchObject({ status: 412, detail: 'changed', changed, requestId: 'r1' });
  });

  it('tells of a plane that does not answer, and of one that says something else than JSON', async () => {
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('Failed to fetch');
    });
    await expect(TestBed.inject(Http).send('GET', '/x')).rejects.toMatchObject({ status: 0 });
    vi.stubGlobal('fetch', async () => new Response('<html>', { status: 502, statusText: 'Bad Gateway' }));
    await expect(TestBed.inject(Http).send('GET', '/x')).rejects.toMatchObject({ status: 502, title: 'Bad Gateway' });
  });

  it('counts the answers that say that nobody is signed in', async () => {
    vi.stubGlobal('fetch', async () => answer(401, { title: 'Unauthorized', detail: 'x' }));
    const http = TestBed.inject(Http);
    await http.send('GET', '/x').catch(() => undefined);
    expect(http.unauthorised()).toBe(1);
  });
});

describe('queryString', () => {
  it('leaves out what is not given', () => {
    expect(queryString({ search: 'a b', limit: 50, continue: undefined, ever: false, type: '' })).toBe(
      '?search=a+b&limit=50',
    );
    expect(queryString({})).toBe('');
  });
});
