import { Report, ReportPeriod } from '../../api/types';
import { Series } from './chart';

/** How something has changed: better or worse, or neither. */
export interface Change {
  text: string;
  tone: 'good' | 'bad' | 'idle';
}

/** One of the four measures: its figure, and how it went. */
export interface Measure {
  heading: string;
  figure: string;
  /** What the figure is of. */
  of: string;
  change: Change;
  /** What exactly is counted. */
  meaning: string;
  kind: 'bars' | 'lines';
  series: Series[];
  format: (value: number) => string;
}

/** Of whole days, in UTC. */
export function range(days: number, now: number): { from: string; to: string } {
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  return { from: day(now - (days - 1) * 86_400_000), to: day(now) };
}

/** `45 s`, `12 min`, `3.4 h`, `2.1 d`. */
export function duration(seconds: number): string {
  if (seconds < 60) {
    return `${Math.round(seconds)} s`;
  }
  if (seconds < 3600) {
    return `${Math.round(seconds / 60)} min`;
  }
  return seconds < 2 * 86_400 ? `${short(seconds / 3600)} h` : `${short(seconds / 86_400)} d`;
}

export function percent(part: number): string {
  return `${short(part * 100)} %`;
}

/** One digit after the point where the number is small. */
export function short(number: number): string {
  return number < 10 ? String(Math.round(number * 10) / 10) : String(Math.round(number));
}

/** `20 % more than before`; better is `more` or `less`. */
export function compare(
  now: number | undefined,
  before: number | undefined,
  words: { more: string; less: string; better: 'more' | 'less' },
): Change {
  if (now === undefined || before === undefined || (before === 0 && now > 0)) {
    return { text: 'nothing to compare it with', tone: 'idle' };
  }
  const by = before === 0 ? 0 : Math.round((Math.abs(now - before) / before) * 100);
  if (by === 0) {
    return { text: 'as before', tone: 'idle' };
  }
  const way = now > before ? 'more' : 'less';
  return { text: `${by} % ${words[way]} than before`, tone: way === words.better ? 'good' : 'bad' };
}

function points(now: number | undefined, before: number | undefined): Change {
  if (now === undefined || before === undefined) {
    return { text: 'nothing to compare it with', tone: 'idle' };
  }
  const by = Math.abs(now - before) * 100;
  if (by < 0.05) {
    return { text: 'as before', tone: 'idle' };
  }
  const text = `${short(by)} points ${now > before ? 'higher' : 'lower'} than before`;
  return { text, tone: now < before ? 'good' : 'bad' };
}

/** Whether there is anything to tell of these days. */
export function isEmpty({ total }: Report): boolean {
  return !total.attempts && !total.leadTime && !total.incidents;
}

/** `2026-01-05`, or `2026-01-05 to 2026-01-11`. */
export function periodName({ from, to }: ReportPeriod): string {
  return from === to ? from : `${from} to ${to}`;
}

/** The four measures of a report. */
export function measures({ total, before, periods }: Report): Measure[] {
  const days = periods.reduce((sum, { from, to }) => sum + (Date.parse(to) - Date.parse(from)) / 86_400_000 + 1, 0);
  const each = <V>(value: (figures: ReportPeriod['figures']) => V): V[] => periods.map(({ figures }) => value(figures));
  const slower = { more: 'slower', less: 'faster', better: 'less' } as const;
  return [
    {
      heading: 'Deployment frequency',
      figure: `${short(total.deployments / days)} a day`,
      of: `${total.deployments} in ${days} days`,
      change: compare(total.deployments, before.deployments, { more: 'more', less: 'less', better: 'more' }),
      meaning: 'Deployments that a cluster took all objects of. Going back to what ran before is none.',
      kind: 'bars',
      series: [{ name: 'Deployments', values: each(({ deployments }) => deployments) }],
      format: short,
    },
    {
      heading: 'Lead time for changes',
      figure: total.leadTime ? duration(total.leadTime.medianSeconds) : '–',
      of: total.leadTime
        ? `median of ${total.leadTime.arrivals}; nine of ten within ${duration(total.leadTime.p90Seconds)}`
        : 'no version came to an environment',
      change: compare(total.leadTime?.medianSeconds, before.leadTime?.medianSeconds, slower),
      meaning: 'From a version being stored until it is first healthy in an environment.',
      kind: 'lines',
      series: [
        { name: 'Median', values: each(({ leadTime }) => leadTime?.medianSeconds) },
        { name: 'Nine of ten', values: each(({ leadTime }) => leadTime?.p90Seconds) },
      ],
      format: duration,
    },
    {
      heading: 'Change failure rate',
      figure: total.failureRate === undefined ? '–' : percent(total.failureRate),
      of: `${total.failures} of ${total.attempts} deployments`,
      change: points(total.failureRate, before.failureRate),
      meaning: 'Deployments that failed, were rolled back or degraded within 24 hours of being applied.',
      kind: 'bars',
      series: [{ name: 'Failure rate', values: each(({ failureRate }) => failureRate) }],
      format: percent,
    },
    {
      heading: 'Time to recover',
      figure: total.secondsToRecover === undefined ? '–' : duration(total.secondsToRecover),
      of: total.incidents
        ? `median of ${total.recovered}; ${total.incidents - total.recovered} not recovered`
        : 'nothing failed or degraded',
      change: compare(total.secondsToRecover, before.secondsToRecover, slower),
      meaning: 'From an environment failing or degrading in a cluster until it is healthy there again.',
      kind: 'lines',
      series: [{ name: 'Median', values: each(({ secondsToRecover }) => secondsToRecover) }],
      format: duration,
    },
  ];
}
