import { ComponentFixture, TestBed } from '@angular/core/testing';
import { Plane } from '../api/plane';
import { Problem } from '../api/problem';
import { EnvironmentOverlay } from '../api/types';
import { OverlayEditor } from './editor';

// Whole components take their time on a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const NAME = 'web.prod';

/** An API server with one overlay, which others change too. */
class FakePlane {
  spec: EnvironmentOverlay['spec'] = { application: 'web', environment: 'prod', version: { pin: '1.0.0' } };
  generation = 1;
  resourceVersion = 1;
  written: { spec: unknown; dryRun: boolean }[] = [];

  get overlay(): EnvironmentOverlay {
    return {
      apiVersion: 'orbit.k8or.io/v1alpha1',
      kind: 'EnvironmentOverlay',
      metadata: {
        name: NAME,
        namespace: 'shop',
        generation: this.generation,
        resourceVersion: `${this.resourceVersion}`,
        annotations: { 'orbit.k8or.io/changed-by': 'li' },
      },
      spec: structuredClone(this.spec),
    };
  }

  async object(): Promise<unknown> {
    return { data: this.overlay, etag: `"${this.resourceVersion}"` };
  }

  async replace(_: string, __: string, object: EnvironmentOverlay, etag: string, dryRun = false): Promise<unknown> {
    if (etag !== `"${this.resourceVersion}"`) {
      const changed = [{ path: 'spec.version.pin', yours: object.spec.version?.pin, theirs: this.spec.version?.pin }];
      throw new Problem(412, 'Precondition Failed', 'it has changed', changed);
    }
    this.written.push({ spec: object.spec, dryRun });
    if (!dryRun) {
      this.spec = object.spec;
      this.generation++;
      this.resourceVersion++;
    }
    return { data: { ...object }, etag: `"${this.resourceVersion}"` };
  }
}

describe('OverlayEditor', () => {
  let plane: FakePlane;
  let fixture: ComponentFixture<OverlayEditor>;
  let done: string[];

  const settle = async (): Promise<void> => {
    await vi.advanceTimersByTimeAsync(1000);
    await fixture.whenStable();
    await vi.advanceTimersByTimeAsync(1000);
    await fixture.whenStable();
  };
  const text = (): string => (fixture.nativeElement as HTMLElement).textContent ?? '';
  const button = (label: string): HTMLButtonElement => {
    const found = [...(fixture.nativeElement as HTMLElement).querySelectorAll('button')].find(
      (each) => each.textContent?.trim() === label,
    );
    if (!found) {
      throw new Error(`no button ${label} in: ${text()}`);
    }
    return found;
  };
  const edit = async (part: object): Promise<void> => {
    (fixture.componentInstance as unknown as { change(part: object): void }).change(part);
    await settle();
  };

  beforeEach(async () => {
    vi.useFakeTimers();
    plane = new FakePlane();
    TestBed.configureTestingModule({ providers: [{ provide: Plane, useValue: plane }] });
    fixture = TestBed.createComponent(OverlayEditor);
    fixture.componentRef.setInput('ns', 'shop');
    fixture.componentRef.setInput('name', NAME);
    fixture.componentRef.setInput('versions', ['1.1.0', '1.0.0']);
    done = [];
    fixture.componentInstance.done.subscribe((outcome) => done.push(outcome));
    await settle();
  });
  afterEach(() => vi.useRealTimers());

  it('offers nothing to apply before something is changed', () => {
    expect(button('Apply').disabled).toBe(true);
    expect(text()).toContain('Nothing is changed yet');
  });

  it('shows what would change before it writes, and writes just that', async () => {
    await edit({ pin: '1.1.0' });
    expect(plane.written.every(({ dryRun }) => dryRun)).toBe(true);
    const lines = [...(fixture.nativeElement as HTMLElement).querySelectorAll('.line.add, .line.del')];
    expect(lines.map((line) => line.textContent?.trim())).toEqual(['-    pin: 1.0.0', '+    pin: 1.1.0']);
    button('Apply').click();
    await settle();
    expect(plane.spec.version).toEqual({ pin: '1.1.0' });
    expect(done).toEqual(['applied']);
  });

  it('never writes over what somebody else has changed: it shows both, and leaves the choice', async () => {
    await edit({ pin: '1.1.0' });
    plane.spec = { ...plane.spec, version: { pin: '0.9.0' } };
    plane.generation++;
    plane.resourceVersion++;
    button('Apply').click();
    await settle();
    expect(plane.spec.version).toEqual({ pin: '0.9.0' });
    expect(text()).toContain('li has changed it meanwhile');
    const cells = [...(fixture.nativeElement as HTMLElement).querySelectorAll('.conflict td')];
    expect(cells.map((cell) => cell.textContent?.trim())).toEqual(['spec.version.pin', '1.1.0', '0.9.0']);
    button('Put my edits on top of theirs').click();
    await settle();
    expect(text()).toContain('pin: 0.9.0');
    button('Apply').click();
    await settle();
    expect(plane.spec.version).toEqual({ pin: '1.1.0' });
  });

  it('is not troubled by a status that moves on', async () => {
    await edit({ pin: '1.1.0' });
    plane.resourceVersion++;
    button('Apply').click();
    await settle();
    expect(plane.spec.version).toEqual({ pin: '1.1.0' });
    expect(done).toEqual(['applied']);
  });

  it('does not ask about YAML that is none', async () => {
    const before = plane.written.length;
    await edit({ values: 'a: [' });
    expect(plane.written).toHaveLength(before);
    expect(text()).toContain('This is no YAML');
    expect(button('Apply').disabled).toBe(true);
  });
});
