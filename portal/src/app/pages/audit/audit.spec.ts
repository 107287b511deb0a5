import { ComponentFixture, TestBed } from '@angular/core/testing';
import { provideRouter } from '@angular/router';
import { Subject } from 'rxjs';
import { Plane } from '../../api/plane';
import { Problem } from '../../api/problem';
import { AuditEvent, Page } from '../../api/types';
import { Live } from '../../live/live';
import { Audit } from './audit';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

describe('Audit', () => {
  let asked: unknown[];
  let answer: () => Promise<Page<AuditEvent>>;

  function show(inputs: Record<string, string>): ComponentFixture<Audit> {
    const remember = (what: string) => (ns: unknown, query: unknown) => {
      asked.push(what === 'none' ? [what, ns] : [what, ns, query]);
      return answer();
    };
    const file = (what: string) => () => `/${what}`;
    TestBed.configureTestingModule({
      providers: [
        provideRouter([]),
        {
          provide: Plane,
          useValue: {
            audit: remember('namespace'),
            auditOfNone: remember('none'),
            auditExport: file('namespace'),
            auditOfNoneExport: file('none'),
          },
        },
        { provide: Live, useValue: { changes: new Subject() } },
      ],
    });
    const fixture = TestBed.createComponent(Audit);
    for (const [name, value] of Object.entries({ ns: 'shop', ...inputs })) {
      fixture.componentRef.setInput(name, value);
    }
    return fixture;
  }

  const element = async (fixture: ComponentFixture<Audit>): Promise<HTMLElement> => {
    await fixture.whenStable();
    await fixture.whenStable();
    return fixture.nativeElement as HTMLElement;
  };

  beforeEach(() => {
    asked = [];
    answer = async () => ({ items: [] });
  });

  it('asks for what a namespace has, as it is filtered', async () => {
    const page = await element(show({ application: 'web', type: 'request' }));
    expect(asked).toEqual([
      ['namespace', 'shop', expect.objectContaining({ application: 'web', type: 'request', requests: undefined })],
    ]);
    expect(page.textContent).toContain('Nothing matches');
    expect(page.querySelector('a[download]')?.getAttribute('href')).toBe('/namespace');
  });

  it('asks for what belongs to no namespace, by whom, and nothing else', async () => {
    const page = await element(show({ scope: 'none', actor: 'maria', application: 'web', type: 'stored' }));
    expect(asked).toEqual([['none', { actor: 'maria', limit: 100, continue: undefined }]]);
    expect(page.textContent).toContain('belong to no namespace');
    expect(page.querySelector('input[name=application]')).toBeNull();
    expect(page.querySelector('a[download]')?.getAttribute('href')).toBe('/none');
  });

  it('says who may not see it', async () => {
    answer = async () => {
      throw new Problem(403, 'Forbidden', 'maria may not list environmentoverlays in all namespaces');
    };
    expect((await element(show({ scope: 'none' }))).textContent).toContain('may not list environmentoverlays');
  });
});
