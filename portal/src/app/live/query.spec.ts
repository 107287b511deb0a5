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

  function make(atMostEvery?: number): Query<string> {
    return TestBed.runInInjectionContext(() =>
      liveQuery({
        atMostEvery,
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

  it('is read while changes go on without end, and an answer that takes long is waited for', async () => {
    const query = make();
    await settle();
    for (let tenth = 0; tenth < 50; tenth++) {
      changes.next({ type: 'RESET' });
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(asked.length).toBeGreaterThanOrEqual(5);
    expect(asked.length).toBeLessThanOrEqual(7);
    await vi.advanceTimersByTimeAsync(5000);
    let answer: (text: string) => void = () => undefined;
    const slow = new Query<string>(() => new Promise((resolve) => (answer = resolve)));
    void slow.reload();
    void slow.refresh();
    void slow.refresh();
    answer('first');
    await vi.advanceTimersByTimeAsync(0);
    expect([slow.value(), slow.loading()]).toEqual(['first', true]);
    answer('second');
    await vi.advanceTimersByTimeAsync(0);
    expect([slow.value(), slow.loading()]).toEqual(['second', false]);
    expect(query.loading()).toBe(false);
  });

  it('gathers the changes of what is dear to ask, and asks once for all of them', async () => {
    make(30_000);
    await settle();
    for (let second = 0; second < 60; second++) {
      changes.next({ type: 'RESET' });
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(asked).toHaveLength(3);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(3);
    // After a while of quiet the next change is soon there.
    changes.next({ type: 'RESET' });
    await vi.advanceTimersByTimeAsync(2000);
    expect(asked).toHaveLength(4);
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
