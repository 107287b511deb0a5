import { ComponentFixture, TestBed } from '@angular/core/testing';
import { provideRouter } from '@angular/router';
import { Subject } from 'rxjs';
import { Plane } from '../../api/plane';
import { Problem } from '../../api/problem';
import { ChartFiles } from '../../api/types';
import { Live } from '../../live/live';
import { ChartPage } from './chart';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const CHART: ChartFiles = {
  digest: 'sha256:c',
  package: 'sha256:p',
  size: 2048,
  files: [
    { path: 'Chart.yaml', size: 10, content: 'name: web\n' },
    { path: 'icon.png', size: 2, notShown: 'noText' },
    { path: 'templates/deployment.yaml', size: 20, content: 'kind: Deployment\n' },
    { path: 'values.yaml', size: 12, content: 'replicas: 2\n' },
  ],
};

describe('ChartPage', () => {
  let answer: () => Promise<ChartFiles>;
  let url: string | undefined;

  function show(inputs: Record<string, string> = {}): ComponentFixture<ChartPage> {
    const plane = {
      chart: () => answer(),
      chartArchive: () => '/archive',
      object: async () => {
        if (!url) {
          throw new Problem(404, 'Not Found', 'x');
        }
        return { data: { status: { artifact: { url } } } };
      },
    };
    TestBed.configureTestingModule({
      providers: [
        provideRouter([]),
        { provide: Plane, useValue: plane },
        { provide: Live, useValue: { changes: new Subject() } },
      ],
    });
    const fixture = TestBed.createComponent(ChartPage);
    for (const [name, value] of Object.entries({ ns: 'shop', app: 'web', version: '1.4.0', ...inputs })) {
      fixture.componentRef.setInput(name, value);
    }
    return fixture;
  }

  const settled = async (fixture: ComponentFixture<ChartPage>): Promise<HTMLElement> => {
    await fixture.whenStable();
    await fixture.whenStable();
    return fixture.nativeElement as HTMLElement;
  };

  beforeEach(() => {
    answer = async () => CHART;
    url = 'oci://registry.example/shop/charts/web:1.4.0';
  });

  it('lists the files, and shows the values first', async () => {
    const element = await settled(show());
    const links = [...element.querySelectorAll('orbit-shelf a')];
    expect(links.map((link) => link.textContent?.replace(/\s+/g, ' ').trim())).toEqual([
      'Chart.yaml, 10 B',
      'icon.png, 2 B',
      'templates/deployment.yaml, 20 B',
      'values.yaml, 12 B',
    ]);
    expect(element.querySelector('orbit-shelf [aria-current]')?.textContent).toContain('values.yaml');
    expect(element.querySelector('.shown pre')?.textContent).toContain('replicas: 2');
    const download = element.querySelector('a[download]');
    expect(download?.getAttribute('href')).toBe('/archive');
    expect(download?.getAttribute('download')).toBe('web-1.4.0.tgz');
    expect(element.textContent).toContain('helm pull oci://registry.example/shop/charts/web --version 1.4.0');
  });

  it('shows the file that the address names, and each link leads to such an address', async () => {
    const element = await settled(show({ file: 'templates/deployment.yaml' }));
    expect(element.querySelector('.shown pre')?.textContent).toContain('kind: Deployment');
    const hrefs = [...element.querySelectorAll('orbit-shelf a')].map((link) => link.getAttribute('href'));
    expect(hrefs[2]).toBe('/?file=templates%2Fdeployment.yaml');
  });

  it('says why a file is not shown, or that there is none', async () => {
    expect((await settled(show({ file: 'icon.png' }))).textContent).toContain('icon.png is no text');
    TestBed.resetTestingModule();
    expect((await settled(show({ file: '../x' }))).textContent).toContain('The chart has no file ../x');
  });

  it('filters', async () => {
    const fixture = show();
    const element = await settled(fixture);
    const filter = async (text: string): Promise<string[]> => {
      const input = element.querySelector('input') as HTMLInputElement;
      input.value = text;
      input.dispatchEvent(new Event('input'));
      await fixture.whenStable();
      return [...element.querySelectorAll('orbit-shelf li')].map((each) => each.textContent?.trim() ?? '');
    };
    expect(await filter('TEMPL dep')).toHaveLength(1);
    expect(await filter('nothing')).toEqual(['Nothing here is called like “nothing”.']);
  });

  it('still shows a chart whose object is gone, without what only that knows', async () => {
    url = undefined;
    const element = await settled(show());
    expect(element.querySelector('.shown pre')?.textContent).toContain('replicas: 2');
    expect(element.textContent).not.toContain('HelmChart');
    expect(element.textContent).toContain('helm install web ./web-1.4.0.tgz');
  });

  it('says that it is loading, and what is wrong', async () => {
    answer = () => new Promise(() => undefined);
    expect((await settled(show())).textContent).toContain('Loading…');
    TestBed.resetTestingModule();
    answer = async () => {
      throw new Problem(404, 'Not Found', 'the chart of shop/web 1.4.0 is not published yet');
    };
    const element = await settled(show());
    expect(element.textContent).toContain('is not published yet');
    expect(element.querySelector('a[download]')).toBeNull();
  });
});
