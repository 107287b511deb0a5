import { LifecycleEvent, Page } from '../../api/types';
import { Tone, toneOfState } from '../../objects/conditions';

export interface Told {
  tone: Tone;
  what: string;
  /** What else there is to say. */
  more?: string;
}

/** An event in words. What newer planes record is told in their own. */
export function tell(event: LifecycleEvent): Told {
  const version = event.version ?? '';
  const environment = event.environment ?? '';
  const more = event.detail;
  switch (event.transition) {
    case 'stored':
      return { tone: 'good', what: `Stored ${version}`, more };
    case 'described':
      return { tone: 'idle', what: `Described ${version}`, more };
    case 'charted':
      return { tone: 'good', what: `Made the chart of ${version}`, more };
    case 'selected':
      return { tone: 'busy', what: `Selected ${version} for ${environment}`, more: reasons[more ?? ''] ?? more };
    case 'rendered':
      return { tone: 'good', what: `Rendered ${version} for ${environment}`.replace('  ', ' '), more };
    case 'deployment': {
      const [state = '', where = ''] = (event.detail ?? '').split(/ (in .*)/s);
      return { tone: toneOfState(state), what: `${version} in ${environment}: ${state || 'deployed'}`, more: where };
    }
    case 'environmentRemoved':
      return { tone: 'idle', what: `Removed the environment ${environment}`, more };
    case 'uploadDeleted':
      return { tone: 'idle', what: `Deleted the upload of ${version}`, more };
    case 'purged':
      return { tone: 'warn', what: `Gave up the data of ${version}`, more };
    default:
      return { tone: 'idle', what: [event.transition, version, environment].filter(Boolean).join(' '), more };
  }
}

const reasons: Record<string, string> = {
  Newest: 'the newest that names it',
  NewestInRange: 'the newest in its range',
  Pinned: 'pinned',
  Kept: 'kept: nothing newer is eligible',
};

export function reason(text: string | undefined): string {
  return reasons[text ?? ''] ?? text ?? '';
}

/** Events, the newest first, and what asks for those before them. */
export interface Timeline {
  events: LifecycleEvent[];
  next?: string;
}

/** The newest events, before those that are known: a journal's never change, there are only more of them. */
export function withNewest(page: Page<LifecycleEvent>, known: Timeline): Timeline {
  const last = page.items.at(-1);
  const older = last ? known.events.filter(({ seq }) => seq < last.seq) : [];
  const reaches = last !== undefined && known.events.some(({ seq }) => seq >= last.seq - 1);
  // What came between two askings may be more than a page.
  return reaches
    ? { events: [...page.items, ...older], next: known.next }
    : { events: page.items, next: page.continue };
}

/** Those that are known, and then what was before them. */
export function withOlder({ events }: Timeline, page: Page<LifecycleEvent>): Timeline {
  const first = events.at(-1)?.seq ?? Infinity;
  return { events: [...events, ...page.items.filter(({ seq }) => seq < first)], next: page.continue };
}

/** Events by their day, in the order they come in. */
export function byDay(events: LifecycleEvent[]): { day: string; events: LifecycleEvent[] }[] {
  const days: { day: string; events: LifecycleEvent[] }[] = [];
  for (const event of events) {
    const day = event.time.slice(0, 10);
    if (days.at(-1)?.day !== day) {
      days.push({ day, events: [] });
    }
    days.at(-1)?.events.push(event);
  }
  return days;
}
