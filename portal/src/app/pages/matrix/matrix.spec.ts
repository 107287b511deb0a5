import { ComponentFixture, TestBed } from '@angular/core/testing';
import { provideRouter } from '@angular/router';
import { Subject } from 'rxjs';
import { Plane } from '../../api/plane';
import { Problem } from '../../api/problem';
import { MatrixRow, Page } from '../../api/types';
import { Live } from '../../live/live';
import { Matrix } from './matrix';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

describe('Matrix', () => {
  let answer: () => Promise<Page<MatrixRow>>;
  let asked: object;

  function show(inputs: Record<string, string> = {}): ComponentFixture<Matrix> {
    TestBed.configureTestingModule({
      providers: [
        provideRouter([]),
        {
          provide: Plane,
          useValue: {
            applications: (_: string, query: object) => {
              asked = query;
              return answer();
            },
          },
        },
        { provide: Live, useValue: { changes: new Subject() } },
      ],
    });
    const fixture = TestBed.createComponent(Matrix);
    for (const [name, value] of Object.entries({ ns: 'shop', ...inputs })) {
      fixture.componentRef.setInput(name, value);
    }
    return fixture;
  }

  const text = async (fixture: ComponentFixture<Matrix>): Promise<string> => {
    await fixture.whenStable();
    await fixture.whenStable();
    return (fixture.nativeElement as HTMLElement).textContent ?? '';
  };

  it('says that it is loading until there is an answer', async () => {
    answer = () => new Promise(() => undefined);
    expect(await text(show())).toContain('Loading…');
  });

  it('leads to the first upload where nothing is yet', async () => {
    answer = async () => ({ items: [] });
    const fixture = show();
    expect(await text(fixture)).toContain('Nothing has been uploaded here yet');
    const links = [...(fixture.nativeElement as HTMLElement).querySelectorAll('orbit-notice a')];
    expect(links.map((link) => link.getAttribute('href'))).toEqual(['/ns/shop/upload']);
  });

  it('does not take a search without a match for an empty namespace', async () => {
    answer = async () => ({ items: [] });
    expect(await text(show({ search: 'wbe' }))).toContain('No application is called like “wbe”');
  });

  it('asks for one environment where only that is meant, and says how to see all', async () => {
    answer = async () => ({ items: [] });
    const fixture = show({ environment: 'prod' });
    expect(await text(fixture)).toContain('No application is in prod');
    expect(asked).toMatchObject({ environment: 'prod' });
    const links = [...(fixture.nativeElement as HTMLElement).querySelectorAll('a')];
    expect(links.map((link) => link.textContent?.trim())).toContain('Show all');
  });

  it('shows versions and how they are, with the way to each and to the next page', async () => {
    const cluster = { namespace: 'shop', name: 'eu-1', uid: 'u' };
    answer = async () => ({
      items: [
        {
          application: 'web',
          environments: [
            {
              environment: 'prod',
              version: '1.4.0',
              clusters: [{ cluster, state: 'degraded', version: '1.4.0', since: '' }],
            },
          ],
        },
      ],
      continue: 'more',
    });
    const fixture = show();
    await text(fixture);
    const element = fixture.nativeElement as HTMLElement;
    expect(element.querySelector('tbody th a')?.getAttribute('href')).toBe('/ns/shop/apps/web');
    const parts = [...element.querySelectorAll('tbody td:nth-child(2) :is(.version, orbit-badge, .where)')];
    expect(parts.map((part) => part.textContent?.trim())).toEqual(['1.4.0', 'degraded', 'eu-1']);
    expect(element.querySelector('nav a')?.textContent).toContain('Next page');
  });

  it('says what is wrong and what to do about it', async () => {
    answer = async () => {
      throw new Problem(403, 'Forbidden', 'maria may not get imageuploads in shop');
    };
    const said = await text(show());
    expect(said).toContain('maria may not get imageuploads in shop');
    expect(said).toContain('orbit-viewer');
  });
});
