import { TestBed } from '@angular/core/testing';
import { Plane } from '../api/plane';
import { Problem } from '../api/problem';
import { Session } from '../api/types';
import { Change, Live } from './live';

class FakeSource {
  static readonly CLOSED = 2;
  static all: FakeSource[] = [];
  readyState = 1;
  onopen?: () => void;
  onmessage?: (message: { data: string; lastEventId: string }) => void;
  onerror?: () => void;
  private readonly listeners = new Map<string, (message: { lastEventId: string }) => void>();

  constructor(readonly url: string) {
    FakeSource.all.push(this);
  }

  addEventListener(name: string, listener: (message: { lastEventId: string }) => void): void {
    this.listeners.set(name, listener);
  }

  tell(name: string): void {
    this.listeners.get(name)?.({ lastEventId: '' });
  }

  close(): void {
    this.readyState = FakeSource.CLOSED;
  }
}

describe('Live', () => {
  let live: Live;
  let told: Change[];
  let signedIn: boolean;
  let hidden: boolean;

  const look = (away: boolean): void => {
    hidden = away;
    document.dispatchEvent(new Event('visibilitychange'));
  };

  beforeEach(() => {
    vi.useFakeTimers();
    FakeSource.all = [];
    vi.stubGlobal('EventSource', FakeSource);
    [signedIn, hidden] = [true, false];
    vi.spyOn(document, 'hidden', 'get').mockImplementation(() => hidden);
    vi.spyOn(TestBed.inject(Plane), 'session').mockImplementation(async () => {
      if (!signedIn) {
        throw new Problem(401, 'Unauthorized', 'sign in first');
      }
      return {} as Session;
    });
    live = TestBed.inject(Live);
    told = [];
    live.changes.subscribe((change) => told.push(change));
    live.follow('shop');
  });
  afterEach(() => {
    live.follow(undefined);
    vi.useRealTimers();
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  it('follows one namespace by one stream', () => {
    live.follow('shop');
    expect(FakeSource.all.map(({ url }) => url)).toEqual(['/api/v1/namespaces/shop/watch']);
    FakeSource.all[0]?.tell('ready');
    expect(live.state()).toBe('live');
    live.follow('fleet');
    expect(FakeSource.all[0]?.readyState).toBe(FakeSource.CLOSED);
    expect(FakeSource.all).toHaveLength(2);
  });

  it('tells changes, and that something was missed', () => {
    const change = { type: 'MODIFIED', plural: 'imageuploads', name: 'web', object: {} };
    FakeSource.all[0]?.onmessage?.({ data: JSON.stringify(change), lastEventId: '' });
    FakeSource.all[0]?.tell('reset');
    expect(told).toEqual([change, { type: 'RESET' }]);
  });

  it('leaves it to the browser to resume, and connects anew where that has given up', async () => {
    const [first] = FakeSource.all;
    first?.onerror?.();
    vi.advanceTimersByTime(60_000);
    expect(FakeSource.all).toHaveLength(1);
    expect(live.state()).toBe('lost');
    first?.close();
    first?.onerror?.();
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSource.all).toHaveLength(2);
    // It knows nothing of what was told last: all has to be read again.
    FakeSource.all[1]?.onopen?.();
    expect(told).toEqual([{ type: 'RESET' }]);
    expect(live.state()).toBe('live');
  });

  it('is not live where it is not let in, and tries again', async () => {
    FakeSource.all[0]?.close();
    FakeSource.all[0]?.onerror?.();
    expect(live.state()).toBe('refused');
    await vi.advanceTimersByTimeAsync(1000);
    expect([FakeSource.all.length, live.state()]).toEqual([2, 'refused']);
    FakeSource.all[1]?.onopen?.();
    expect(live.state()).toBe('live');
  });

  it('asks no more where the session has ended', async () => {
    signedIn = false;
    FakeSource.all[0]?.close();
    FakeSource.all[0]?.onerror?.();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSource.all).toHaveLength(1);
    signedIn = true;
    live.follow('shop');
    expect(FakeSource.all).toHaveLength(2);
  });

  it('holds no connection while nobody looks, and goes on from the last message then', async () => {
    const [first] = FakeSource.all;
    first?.onmessage?.({ data: '{"type":"ADDED"}', lastEventId: 'id 7' });
    look(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect([FakeSource.all.length, first?.readyState]).toEqual([1, FakeSource.CLOSED]);
    look(false);
    expect(FakeSource.all[1]?.url).toBe('/api/v1/namespaces/shop/watch?since=id+7');
  });

  it('has the plane go on from the last message where there was one', async () => {
    const [first] = FakeSource.all;
    first?.onmessage?.({ data: '{"type":"ADDED"}', lastEventId: 'id 7' });
    first?.close();
    first?.onerror?.();
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSource.all[1]?.url).toBe('/api/v1/namespaces/shop/watch?since=id+7');
    FakeSource.all[1]?.onopen?.();
    expect(told).toEqual([{ type: 'ADDED' }]);
  });
});
