import { Figures, Report } from '../../api/types';
import { compare, duration, isEmpty, measures, percent, periodName, range } from './figures';

const NOTHING: Figures = { deployments: 0, attempts: 0, failures: 0, incidents: 0, recovered: 0 };

function report(total: Partial<Figures>, before: Partial<Figures> = {}): Report {
  const figures = { ...NOTHING, ...total };
  const periods = [
    { from: '2026-01-05', to: '2026-01-11', figures },
    { from: '2026-01-12', to: '2026-01-14', figures: NOTHING },
  ];
  return { from: '2026-01-05', to: '2026-01-14', total: figures, before: { ...NOTHING, ...before }, periods };
}

describe('figures of a report', () => {
  it('are of whole days, today included', () => {
    const now = Date.parse('2026-03-02T23:59:00Z');
    expect(range(7, now)).toEqual({ from: '2026-02-24', to: '2026-03-02' });
  });

  it('are told coarsely', () => {
    expect([0, 45, 90, 3600 * 3.42, 86_400 * 2.06, 86_400 * 40].map(duration)).toEqual([
      '0 s',
      '45 s',
      '2 min',
      '3.4 h',
      '2.1 d',
      '40 d',
    ]);
    expect([0, 0.0421, 0.5, 1].map(percent)).toEqual(['0 %', '4.2 %', '50 %', '100 %']);
  });

  it('are better or worse than before, or cannot be compared', () => {
    const words = { more: 'slower', less: 'faster', better: 'less' } as const;
    expect(compare(150, 100, words)).toEqual({ text: '50 % slower than before', tone: 'bad' });
    expect(compare(50, 100, words)).toEqual({ text: '50 % faster than before', tone: 'good' });
    expect(compare(100, 100, words)).toEqual({ text: 'as before', tone: 'idle' });
    for (const [now, before] of [
      [undefined, 1],
      [1, undefined],
      [1, 0],
    ]) {
      expect(compare(now, before, words).tone).toBe('idle');
    }
  });

  it('become the four measures', () => {
    const told = measures(
      report(
        {
          deployments: 20,
          attempts: 21,
          failures: 3,
          failureRate: 3 / 21,
          leadTime: { arrivals: 6, medianSeconds: 600, p90Seconds: 7200 },
          incidents: 4,
          recovered: 3,
          secondsToRecover: 120,
        },
        { deployments: 10, attempts: 10, failures: 1, failureRate: 0.1, secondsToRecover: 240 },
      ),
    );
    expect(told.map(({ figure, of, change }) => [figure, of, change.text])).toEqual([
      ['2 a day', '20 in 10 days', '100 % more than before'],
      ['10 min', 'median of 6; nine of ten within 2 h', 'nothing to compare it with'],
      ['14 %', '3 of 21 deployments', '4.3 points higher than before'],
      ['2 min', 'median of 3; 1 not recovered', '50 % faster than before'],
    ]);
    expect(told.map(({ series }) => series.map(({ values }) => values))).toEqual([
      [[20, 0]],
      [
        [600, undefined],
        [7200, undefined],
      ],
      [[3 / 21, undefined]],
      [[120, undefined]],
    ]);
  });

  it('are none where nothing happened', () => {
    expect(isEmpty(report({}, { deployments: 3, attempts: 3 }))).toBe(true);
    expect(isEmpty(report({ incidents: 1 }))).toBe(false);
    expect(report({}).periods.map(periodName)).toEqual(['2026-01-05 to 2026-01-11', '2026-01-12 to 2026-01-14']);
    expect(periodName({ from: '2026-01-05', to: '2026-01-05', figures: NOTHING })).toBe('2026-01-05');
  });
});
