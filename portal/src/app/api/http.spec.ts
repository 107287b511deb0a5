import { TestBed } from '@angular/core/testing';
import { Http, queryString } from './http';
import { Plane } from './plane';
import { Problem } from './problem';

function answer(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(body === undefined ? null : JSON.stringify(body), { status, headers });
}

const overlay = { apiVersion: 'v1', kind: 'EnvironmentOverlay', metadata: { name: 'web.dev' }, spec: {} };

describe('Http', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('brings the CSRF token along with what changes something, and only with that', async () => {
    const asked: Request[] = [];
    vi.stubGlobal('fetch', async (request: Request) => {
      asked.push(request);
      return answer(200, overlay, { ETag: '"7"' });
    });
    TestBed.inject(Http).csrfToken.set('secret');
    const plane = TestBed.inject(Plane);
    await plane.object('shop', 'environmentoverlays', 'web.dev');
    const { data, etag } = await plane.replace('shop', 'environmentoverlays', overlay, '"6"', true);
    const [read, write] = asked;
    expect(read?.headers.has('X-Orbit-CSRF')).toBe(false);
    expect([write?.headers.get('X-Orbit-CSRF'), write?.headers.get('If-Match')]).toEqual(['secret', '"6"']);
    expect(new URL(write?.url ?? '').search).toBe('?dryRun=true');
    expect(await write?.json()).toEqual(overlay);
    expect([data, etag]).toEqual([overlay, '"7"']);
  });

  it('puts names into paths so that they stay names', async () => {
    const asked: string[] = [];
    vi.stubGlobal('fetch', async ({ url }: Request) => {
      asked.push(new URL(url).pathname);
      return answer(200, overlay);
    });
    await TestBed.inject(Plane).object('shop', 'environmentoverlays', '../a?b#c');
    expect(asked).toEqual(['/api/v1/namespaces/shop/objects/environmentoverlays/..%2Fa%3Fb%23c']);
  });

  it('tells a refusal in the words of the plane, with what changed', async () => {
    const changed = [{ path: 'spec.version', yours: 1, theirs: 2 }];
    vi.stubGlobal('fetch', async () =>
      answer(412, { status: 412, title: 'Precondition Failed', detail: 'changed', changed }, { 'X-Request-Id': 'r1' }),
    );
    const problem = await TestBed.inject(Plane)
      .session()
      .catch((error: unknown) => error as Problem);
    expect(problem).toBeInstanceOf(Problem);
    expect(problem).toMatchObject({ status: 412, detail: 'changed', changed, requestId: 'r1' });
  });

  it('tells of a plane that does not answer, and of one that says something else than JSON', async () => {
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('Failed to fetch');
    });
    await expect(TestBed.inject(Plane).session()).rejects.toMatchObject({ status: 0 });
    vi.stubGlobal('fetch', async () => new Response('<html>', { status: 502, statusText: 'Bad Gateway' }));
    await expect(TestBed.inject(Plane).session()).rejects.toMatchObject({ status: 502, title: 'Bad Gateway' });
  });

  it('counts the answers that say that nobody is signed in', async () => {
    vi.stubGlobal('fetch', async () => answer(401, { title: 'Unauthorized', detail: 'x' }));
    await TestBed.inject(Plane)
      .session()
      .catch(() => undefined);
    expect(TestBed.inject(Http).unauthorised()).toBe(1);
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
