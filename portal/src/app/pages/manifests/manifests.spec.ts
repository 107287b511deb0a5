import { ComponentFixture, TestBed } from '@angular/core/testing';
import { provideRouter } from '@angular/router';
import { Subject } from 'rxjs';
import { Plane } from '../../api/plane';
import { Problem } from '../../api/problem';
import { Manifests } from '../../api/types';
import { Live } from '../../live/live';
import { ManifestsPage } from './manifests';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const MANIFESTS: Manifests = {
  version: '1.4.0',
  digest: 'sha256:a',
  inputsDigest: 'sha256:i',
  renderedAt: '2026-11-24T12:00:00Z',
  objects: [
    { name: 'Service/web', namespace: 'shop', yaml: 'kind: Service\n', masked: false },
    { name: 'Deployment.apps/web', namespace: 'shop', yaml: 'kind: Deployment\n', masked: false },
  ],
};
const SECRET = { name: 'Secret/web', namespace: 'shop', yaml: "data: {a: '***'}\n", masked: true };

describe('ManifestsPage', () => {
  let answer: () => Promise<Manifests>;

  function show(inputs: Record<string, string> = {}): ComponentFixture<ManifestsPage> {
    const url = 'oci://registry.example/shop/overlays/web:prod';
    const plane = {
      manifests: () => answer(),
      manifestsFile: () => '/manifests?format=yaml',
      object: async () => ({ data: { status: { artifact: { url } } } }),
    };
    TestBed.resetTestingModule();
    TestBed.configureTestingModule({
      providers: [
        provideRouter([]),
        { provide: Plane, useValue: plane },
        { provide: Live, useValue: { changes: new Subject() } },
      ],
    });
    const fixture = TestBed.createComponent(ManifestsPage);
    for (const [name, value] of Object.entries({ ns: 'shop', app: 'web', environment: 'prod', ...inputs })) {
      fixture.componentRef.setInput(name, value);
    }
    return fixture;
  }

  const shown = async (inputs?: Record<string, string>): Promise<HTMLElement> => {
    const fixture = show(inputs);
    await fixture.whenStable();
    await fixture.whenStable();
    return fixture.nativeElement as HTMLElement;
  };

  beforeEach(() => {
    answer = async () => MANIFESTS;
  });

  it('shows the objects one by one, and hands all of them out', async () => {
    const element = await shown();
    const links = [...element.querySelectorAll('orbit-shelf a')];
    expect(links.map((link) => link.textContent?.replace(/\s+/g, ' ').trim())).toEqual([
      'Service/web, shop',
      'Deployment.apps/web, shop',
    ]);
    expect(element.querySelector('.shown pre')?.textContent).toContain('kind: Service');
    expect(element.querySelector('a[download]')?.getAttribute('href')).toBe('/manifests?format=yaml');
    expect(element.querySelector('a.version')?.getAttribute('href')).toBe('/ns/shop/charts/web/1.4.0');
    expect(element.textContent).toContain('orbit export overlay web prod --namespace shop');
    expect(element.textContent).toContain('flux pull artifact oci://registry.example/shop/overlays/web:prod');
    expect(element.textContent).not.toContain('left out');
  });

  it('shows the object that the address names', async () => {
    const element = await shown({ object: 'Deployment.apps/web' });
    expect(element.querySelector('.shown pre')?.textContent).toContain('kind: Deployment');
    expect((await shown({ object: 'Job.batch/x' })).textContent).toContain('There is no Job.batch/x among them');
  });

  it('tells apart what has one name in two namespaces', async () => {
    const service = { name: 'Service/web', namespace: 'shop', yaml: 'kind: Service\n', masked: false };
    const other = { ...service, namespace: 'other', yaml: 'kind: Service # other\n' };
    answer = async () => ({ ...MANIFESTS, objects: [service, other] });
    const element = await shown({ object: 'Service/web in other' });
    expect(element.querySelector('.shown pre')?.textContent).toContain('# other');
  });

  it('says that what Secrets keep is left out', async () => {
    answer = async () => ({ ...MANIFESTS, objects: [SECRET] });
    const element = await shown();
    expect(element.textContent).toContain('What Secrets keep is left out');
    expect(element.querySelector('orbit-shelf a')?.textContent).toContain('what it keeps is not shown');
  });

  it('says why there is nothing to see', async () => {
    answer = async () => ({ ...MANIFESTS, objects: [] });
    expect((await shown()).textContent).toContain('It renders to nothing');
    answer = async () => ({ ...MANIFESTS, objects: [{ name: 'Service/web', masked: false }] });
    expect((await shown()).textContent).toContain('too large to be shown');
    answer = () => new Promise(() => undefined);
    expect((await shown()).textContent).toContain('Loading…');
    answer = async () => {
      throw new Problem(404, 'Not Found', 'nothing is rendered of shop/web for prod');
    };
    const element = await shown();
    expect(element.textContent).toContain('nothing is rendered of shop/web for prod');
    // Its overlay says why.
    expect(element.querySelector('.head a[href="/ns/shop/environmentoverlays/web.prod"]')).not.toBeNull();
  });
});
