import { ComponentFixture, TestBed } from '@angular/core/testing';
import { ImageSettings } from '../../upload/image-config';
import { draftOf, EMPTY_WORKLOAD, WorkloadDraft, workloadOf } from '../../upload/workload';
import { WorkloadForm } from './workload-form';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const IMAGE: ImageSettings = {
  ports: [{ number: 8080, protocol: 'TCP' }],
  user: '65532',
  entrypoint: ['/web'],
  cmd: ['--verbose'],
  healthcheck: { command: ['/web', '-check'], intervalSeconds: 5, timeoutSeconds: 2, retries: 2 },
  volumes: ['/data'],
};

describe('WorkloadForm', () => {
  let fixture: ComponentFixture<WorkloadForm>;
  let element: HTMLElement;

  async function show(draft: WorkloadDraft = EMPTY_WORKLOAD, image: ImageSettings | undefined = IMAGE): Promise<void> {
    fixture = TestBed.createComponent(WorkloadForm);
    fixture.componentRef.setInput('draft', draft);
    fixture.componentRef.setInput('image', image);
    await fixture.whenStable();
    element = fixture.nativeElement as HTMLElement;
  }

  const field = (name: string): HTMLInputElement => element.querySelector(`[name=${name}]`) as HTMLInputElement;
  const write = async (name: string, text: string): Promise<void> => {
    field(name).value = text;
    field(name).dispatchEvent(new Event('input'));
    await fixture.whenStable();
  };
  const press = async (text: string): Promise<void> => {
    const buttons = [...element.querySelectorAll('button')];
    buttons.find((button) => `${button.textContent}${button.getAttribute('aria-label')}`.includes(text))?.click();
    await fixture.whenStable();
  };
  const asked = (): unknown => workloadOf(fixture.componentInstance.draft(), IMAGE);
  const said = (): string => element.textContent?.replace(/\s+/g, ' ') ?? '';

  it('has to begin with what the image says, and asks for none of it', async () => {
    await show();
    expect([field('portName0').value, field('portNumber0').value]).toEqual(['tcp-8080', '8080']);
    expect(field('command').placeholder).toBe('/web');
    expect(field('args').placeholder).toBe('--verbose');
    for (const text of ['1 replica · ports 8080 · HEALTHCHECK', '65532', '/data', '/web -check', 'every 5 s']) {
      expect(said()).toContain(text);
    }
    expect(asked()).toEqual({});
  });

  it('says that it is the plane that reads a compressed image', async () => {
    await show(EMPTY_WORKLOAD, undefined);
    fixture.componentRef.setInput('image', undefined);
    await fixture.whenStable();
    expect(said()).toContain('What is left out is read from the image.');
    expect(said()).toContain('Those that the image exposes.');
  });

  it('asks for what is written, and for the image’s again', async () => {
    await show();
    await write('portName0', 'http');
    await write('replicas', '3');
    await write('memoryLimit', '128Mi');
    await write('secrets', 'web-db');
    expect(asked()).toEqual({
      replicas: 3,
      ports: [{ name: 'http', containerPort: 8080 }],
      secretRefs: [{ name: 'web-db' }],
      resources: { limits: { memory: '128Mi' } },
    });
    await press('As in the image');
    expect(field('portName0').value).toBe('tcp-8080');
    await press('Add a port');
    await press('Take port tcp-8080 out');
    await write('portNumber0', '9090');
    expect(asked()).toMatchObject({ ports: [{ name: 'http', containerPort: 9090 }] });
  });

  it('says what is wrong beside it, and never hides it', async () => {
    await show({ ...EMPTY_WORKLOAD, replicas: '5000', ports: [{ name: 'HTTP', number: '0', protocol: 'TCP' }] });
    const alerts = [...element.querySelectorAll('[role=alert]')].map((each) => each.textContent?.trim());
    expect(alerts).toEqual([
      'A port’s name has 1 to 15 lower-case letters, digits and single hyphens inside, one letter at least.',
      'A whole number from 0 to 1000.',
    ]);
    expect(element.querySelector('details')?.open).toBe(true);
    await write('portName0', 'http');
    expect(said()).toContain('A port is a number from 1 to 65535.');
    await write('portNumber0', '80');
    await write('replicas', '5');
    expect(element.querySelector('[role=alert]')).toBeNull();
    expect(element.querySelector('details')?.open).toBe(true);
  });

  it('has fields for probes, and leaves alone those that it has none for', async () => {
    const web = { httpGet: { path: '/healthz', port: 'tcp-8080' } };
    await show(draftOf({ probes: { liveness: web, readiness: web } }));
    expect(field('probePath').value).toBe('/healthz');
    await write('probe-period', '5');
    await write('probe-startup', '30');
    expect(asked()).toMatchObject({
      probes: { startup: { periodSeconds: 5, failureThreshold: 6 }, readiness: { ...web, periodSeconds: 5 } },
    });
    const byHand = { probes: { readiness: { ...web, initialDelaySeconds: 9 } } };
    await show(draftOf(byHand));
    expect(said()).toContain('Probes written by hand before');
    expect(asked()).toEqual(byHand);
  });
});
