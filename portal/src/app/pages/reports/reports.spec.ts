import { ComponentFixture, TestBed } from '@angular/core/testing';
import { provideRouter, Router } from '@angular/router';
import { Subject } from 'rxjs';
import { Plane, ReportQuestion } from '../../api/plane';
import { Problem } from '../../api/problem';
import { Figures, Report } from '../../api/types';
import { Live } from '../../live/live';
import { Reports } from './reports';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const NOTHING: Figures = { deployments: 0, attempts: 0, failures: 0, incidents: 0, recovered: 0 };

function of(figures: Figures[]): Report {
  const periods = figures.map((one, at) => ({ from: `2026-01-0${at + 1}`, to: `2026-01-0${at + 1}`, figures: one }));
  const total = figures[0] ?? NOTHING;
  return { from: '2026-01-01', to: `2026-01-0${figures.length}`, total, before: NOTHING, periods };
}

describe('Reports', () => {
  let answer: () => Promise<Report>;
  let asked: ReportQuestion[];

  function show(inputs: Record<string, string> = {}): ComponentFixture<Reports> {
    asked = [];
    const plane = {
      report: (_: string, question: ReportQuestion) => {
        asked.push(question);
        return answer();
      },
    };
    TestBed.configureTestingModule({
      providers: [
        provideRouter([]),
        { provide: Plane, useValue: plane },
        { provide: Live, useValue: { changes: new Subject() } },
      ],
    });
    const fixture = TestBed.createComponent(Reports);
    for (const [name, value] of Object.entries({ ns: 'shop', ...inputs })) {
      fixture.componentRef.setInput(name, value);
    }
    return fixture;
  }

  const element = async (fixture: ComponentFixture<Reports>): Promise<HTMLElement> => {
    await fixture.whenStable();
    await fixture.whenStable();
    return fixture.nativeElement as HTMLElement;
  };

  it('asks for what is in the address, and for thirty days where nothing sound is', async () => {
    answer = async () => of([NOTHING]);
    await element(show({ days: '8', application: 'web' }));
    const [question] = asked;
    const days = (Date.parse(question?.to ?? '') - Date.parse(question?.from ?? '')) / 86_400_000 + 1;
    expect([days, question?.application, question?.environment, question?.period]).toEqual([
      30,
      'web',
      undefined,
      'day',
    ]);
    TestBed.resetTestingModule();
    await element(show({ days: '7', period: 'week', environment: 'prod' }));
    expect([asked[0]?.environment, asked[0]?.period]).toEqual(['prod', 'week']);
  });

  it('shows the measures, with charts that are in words and in tables, too', async () => {
    answer = async () =>
      of([
        { ...NOTHING, deployments: 4, attempts: 4, failureRate: 0 },
        { ...NOTHING, deployments: 2, attempts: 2, failureRate: 0 },
        NOTHING,
      ]);
    const page = await element(show());
    const headings = [...page.querySelectorAll('section h2')].map((heading) => heading.textContent);
    expect(headings).toEqual([
      'Deployment frequency',
      'Lead time for changes',
      'Change failure rate',
      'Time to recover',
    ]);
    const chart = page.querySelector('svg[role=img]');
    expect(chart?.getAttribute('aria-label')).toBe(
      'Deployment frequency, 2026-01-01 to 2026-01-03. Deployments: at most 4, 2026-01-01; last 0, 2026-01-03.',
    );
    const bars = [...page.querySelectorAll('rect')].map((bar) => Number(bar.getAttribute('height')));
    expect(bars).toEqual([96, 48]);
    const rows = [...page.querySelectorAll('section:first-child tbody tr')].map((row) => row.textContent?.trim());
    expect(rows).toEqual(['2026-01-014', '2026-01-022', '2026-01-030']);
    // Nothing failed: that is told as a figure, not as an empty chart.
    expect(page.querySelectorAll('section')[2]?.textContent).toContain('0 of 4 deployments');
  });

  it('breaks a line where there is nothing to tell', async () => {
    const lead = (medianSeconds: number): Figures => ({
      ...NOTHING,
      attempts: 1,
      leadTime: { arrivals: 1, medianSeconds, p90Seconds: 100 },
    });
    answer = async () => of([lead(50), lead(100), NOTHING, lead(0)]);
    const page = await element(show());
    expect(page.querySelector('path.line')?.getAttribute('d')).toBe('M5 52L15 4M35 100');
  });

  it('says what to do where there is nothing', async () => {
    answer = async () => of([NOTHING]);
    expect((await element(show())).textContent).toContain('Nothing was deployed in these days');
    TestBed.resetTestingModule();
    const fixture = show({ environment: 'moon' });
    const page = await element(fixture);
    expect(page.textContent).toContain('Nothing of this in these days');
    const navigate = vi.spyOn(TestBed.inject(Router), 'navigate').mockResolvedValue(true);
    page.querySelector<HTMLButtonElement>('orbit-notice button')?.click();
    expect(navigate.mock.calls[0]?.[1]?.queryParams).toEqual({ application: null, environment: null });
  });

  it('says that it is loading, and what is wrong', async () => {
    answer = () => new Promise(() => undefined);
    expect((await element(show())).textContent).toContain('Loading…');
    TestBed.resetTestingModule();
    answer = async () => {
      throw new Problem(503, 'Service Unavailable', 'the Viewport does not answer');
    };
    expect((await element(show())).textContent).toContain('the Viewport does not answer');
  });
});
