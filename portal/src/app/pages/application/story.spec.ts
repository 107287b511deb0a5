import { LifecycleEvent, Page } from '../../api/types';
import { Timeline, withNewest, withOlder } from './story';

/** The events of these positions, from the newest to the oldest. */
function page(newest: number, oldest: number, next?: string): Page<LifecycleEvent> {
  const items = Array.from({ length: newest - oldest + 1 }, (_, index) => ({ seq: newest - index }) as LifecycleEvent);
  return { items, continue: next };
}

const seqs = ({ events }: Timeline): number[] => events.map(({ seq }) => seq);

describe('the timeline', () => {
  const first = withNewest(page(10, 8, 'before-8'), { events: [] });

  it('goes on to older events', () => {
    const all = withOlder(first, page(7, 5, 'before-5'));
    expect([seqs(all), all.next]).toEqual([[10, 9, 8, 7, 6, 5], 'before-5']);
  });

  it('keeps those while newer ones come, without a gap', () => {
    const all = withNewest(page(12, 10, 'before-10'), withOlder(first, page(7, 5, 'before-5')));
    expect([seqs(all), all.next]).toEqual([[12, 11, 10, 9, 8, 7, 6, 5], 'before-5']);
  });

  it('begins again where more came than a page has', () => {
    const all = withNewest(page(20, 18, 'before-18'), first);
    expect([seqs(all), all.next]).toEqual([[20, 19, 18], 'before-18']);
  });

  it('has none where there are none', () => {
    expect(withNewest(page(0, 1), { events: [] })).toEqual({ events: [], next: undefined });
  });
});
