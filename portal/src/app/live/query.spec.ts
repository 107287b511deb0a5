import { signal } from '@angular/core';
import { TestBed } from '@angular/core/testing';
import { Subject } from 'rxjs';
import { Problem } from '../api/problem';
import { Change, Live } from './live';
import { liveQuery, Query } from './query';

describe('liveQuery', () => {
  const changes = new Subject<Change>();
  const name = signal<string | undefined>(undefined);
  let asked: string[];
  let fails: boolean;

  function make(): Query<string> {
    return TestBed.runInInjectionContext(() =>
      liveQuery({
        params: () => name(),
        load: async (params) => {
          asked.push(params);
          if (fails) {
            throw new Problem(503, 'Service Unavailable', 'x');
          }
          return `${params} ${asked.length}`;
        },
        staleBy: (change, params) => change.type !== 'RESET' && change.name === params,
      }),
    );
  }

  const settle = async (): Promise<void> => {
    TestBed.tick();
    await vi.advanceTimersByTimeAsync(0);
  };

  beforeEach(() => {
    vi.useFakeTimers();
    [asked, fails] = [[], false];
    name.set('web');
    TestBed.configureTestingModule({ providers: [{ provide: Live, useValue: { changes } }] });
  });
  afterEach(() => vi.useRealTimers());

  it('asks, and asks again for something else', async () => {
    const query = make();
    await settle();
    expect(query.value()).toBe('web 1');
    name.set('api');
    await settle();
    expect(query.value()).toBe('api 2');
    name.set(undefined);
    await settle();
    expect(asked).toEqual(['web', 'api']);
    expect(query.value()).toBeUndefined();
  });

  it('reads a burst of changes once soon and once more later, and no changes of others', async () => {
    make();
    await settle();
    const change = (of: string): Change => ({
      type: 'MODIFIED',
      plural: 'imageuploads',
      name: of,
      object: {} as never,
    });
    changes.next(change('api'));
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked).toHaveLength(1);
    changes.next(change('web'));
    changes.next(change('web'));
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked).toHaveLength(3);
    changes.next({ type: 'RESET' });
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked).toHaveLength(5);
  });

  it('keeps the answer when asking again fails, and says that it failed', async () => {
    const query = make();
    await settle();
    fails = true;
    await query.reload();
    expect(query.value()).toBe('web 1');
    expect(query.problem()?.status).toBe(503);
    fails = false;
    await query.reload();
    expect(query.problem()).toBeUndefined();
  });
});
