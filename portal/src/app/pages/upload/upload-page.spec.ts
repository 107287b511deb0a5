import { signal } from '@angular/core';
import { ComponentFixture, TestBed } from '@angular/core/testing';
import { provideRouter } from '@angular/router';
import { Subject } from 'rxjs';
import { Plane } from '../../api/plane';
import { Problem } from '../../api/problem';
import { ImageUpload } from '../../api/types';
import { Live } from '../../live/live';
import { SessionStore } from '../../session/session-store';
import { UploadRequest } from '../../upload/request';
import { Transfer } from '../../upload/transfer';
import { HASHER, Transfers } from '../../upload/transfers';
import { UploadPage } from './upload-page';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** A plane that has web 1.0.0, and answers a write as it is told to. */
class FakePlane {
  refusal?: Problem;
  status: ImageUpload['status'] = { release: { version: '1.0.0', digest: 'd' } };
  written?: ImageUpload;
  private readonly before: ImageUpload = {
    apiVersion: '',
    kind: '',
    metadata: { name: 'web' },
    spec: {
      application: 'web',
      version: '1.0.0',
      images: [],
      environments: ['dev'],
      workload: { replicas: 2, ports: [{ name: 'http', containerPort: 80 }] },
    },
  };

  async applications(): Promise<unknown> {
    return { items: [] };
  }

  async lifecycle(_: string, application: string): Promise<unknown> {
    return { releases: application === 'web' ? [{ version: '1.0.0', environments: ['dev'] }] : [] };
  }

  async object(_: string, plural: string, name: string): Promise<unknown> {
    if (plural !== 'imageuploads' || name !== 'web') {
      throw new Problem(404, 'Not Found', 'x');
    }
    return { data: { ...(this.written ?? this.before), status: this.status }, etag: '"1"' };
  }

  async objects(): Promise<unknown> {
    return { items: [] };
  }

  async replace(_: string, __: string, object: ImageUpload): Promise<void> {
    if (this.refusal) {
      throw this.refusal;
    }
    this.written = object;
  }
}

describe('UploadPage', () => {
  let plane: FakePlane;
  let fixture: ComponentFixture<UploadPage>;
  let element: HTMLElement;

  const settle = async (): Promise<void> => {
    for (let round = 0; round < 4; round++) {
      await fixture.whenStable();
    }
  };
  const write = async (name: string, text: string): Promise<void> => {
    const field = element.querySelector(`[name=${name}]`) as HTMLInputElement;
    field.value = text;
    field.dispatchEvent(new Event('input'));
    await settle();
  };
  const upload = async (): Promise<void> => {
    element.querySelector('form')?.dispatchEvent(new Event('submit'));
    await settle();
  };
  const alerts = (): string =>
    [...element.querySelectorAll('[role=alert]')]
      .map((each) => each.textContent?.replace(/\s+/g, ' ').trim())
      .join('\n');
  const transfers = (): Transfer[] => TestBed.inject(Transfers).of('shop');

  beforeEach(async () => {
    localStorage.clear();
    plane = new FakePlane();
    TestBed.configureTestingModule({
      providers: [
        provideRouter([]),
        { provide: Plane, useValue: plane },
        { provide: Live, useValue: { changes: new Subject() } },
        { provide: SessionStore, useValue: { session: signal({ user: { name: 'maria', groups: [] } }) } },
        { provide: HASHER, useValue: async (file: Blob) => `sha256:${await file.text()}` },
      ],
    });
    fixture = TestBed.createComponent(UploadPage);
    fixture.componentRef.setInput('ns', 'shop');
    element = fixture.nativeElement as HTMLElement;
    await settle();
  });

  it('refuses before sending it a name that Kubernetes refuses, and a version that is stored', async () => {
    await write('reference', 'registry.example/web:1.1.0');
    await write('application', 'Web_Shop');
    await upload();
    expect(alerts()).toContain('Lower-case letters, digits and hyphens, up to 40, beginning with a letter.');
    await write('application', 'web');
    await write('version', 'v1.0.0');
    expect(alerts()).toContain('Three numbers, as in 1.4.0');
    await write('version', '1.0.0');
    expect(alerts()).toContain('This version is stored already. Other content needs another version.');
    await upload();
    expect(transfers()).toEqual([]);
  });

  it('starts from what was asked for last, and asks for the workload that is written', async () => {
    await write('reference', 'registry.example/web:1.1.0');
    await write('application', 'web');
    await vi.waitUntil(() => (element.querySelector('[name=portName0]') as HTMLInputElement | null)?.value === 'http');
    await write('replicas', '3');
    await write('memoryLimit', '96Mi');
    await upload();
    await vi.waitUntil(() => plane.written !== undefined);
    expect(plane.written?.spec).toMatchObject({
      version: '1.1.0',
      workload: {
        replicas: 3,
        ports: [{ name: 'http', containerPort: 80 }],
        resources: { limits: { memory: '96Mi' } },
      },
    });
  });

  it('takes nothing over from one application to another, but what somebody has chosen', async () => {
    const pressed = (): (string | undefined)[] =>
      [...element.querySelectorAll('.choice[aria-pressed=true]')].map((each) => each.textContent?.trim());
    await write('reference', 'registry.example/web:1.1.0');
    await write('application', 'web');
    await vi.waitUntil(() => pressed().length > 0);
    expect([pressed(), element.textContent]).toEqual([['dev'], expect.stringContaining('last with web')]);
    await write('application', 'other');
    await vi.waitUntil(() => pressed().length === 0);
    expect((element.querySelector('[name=replicas]') as HTMLInputElement).value).toBe('');
    (element.querySelectorAll('.choice')[1] as HTMLElement).click();
    await settle();
    await write('application', 'web');
    await vi.waitUntil(() => (element.querySelector('[name=portName0]') as HTMLInputElement | null)?.value === 'http');
    expect(pressed()).toEqual(['prod']);
  });

  it('is no example where the plane has refused it', async () => {
    plane.status = {};
    await write('reference', 'registry.example/web:1.1.0');
    await write('application', 'web');
    await vi.waitUntil(() => element.querySelector('.choice[aria-pressed=true]') !== null);
    expect(element.querySelector('[name=portName0]')).toBeNull();
  });

  it('does not start while the workload is wrong', async () => {
    await write('reference', 'registry.example/web:1.1.0');
    await write('application', 'web');
    await write('replicas', 'many');
    await upload();
    expect(alerts()).toContain('A whole number from 0 to 1000.');
    expect(element.textContent).toContain('Something above needs a look.');
    expect(transfers()).toEqual([]);
  });

  describe('after sending', () => {
    const REQUEST: UploadRequest = {
      ns: 'shop',
      application: 'web',
      version: '1.0.0',
      environments: ['dev'],
      config: {},
      noSecrets: false,
      workload: {},
    };

    const send = async (phase: string): Promise<void> => {
      const transfer = TestBed.inject(Transfers).sendArchive(REQUEST, new File(['abc'], 'web.tar'));
      await vi.waitUntil(() => transfer.phase() === phase, { timeout: 20_000 });
      await settle();
    };

    it('shows in its own words what the API server refuses', async () => {
      const said = 'spec: Invalid value: this version is already stored: give spec.version a new value';
      plane.refusal = new Problem(422, 'Unprocessable Entity', said);
      await send('failed');
      expect(alerts()).toContain(said);
      expect(element.textContent).toContain('Try again');
    });

    it('shows why the plane does not take other content for a version', async () => {
      const message = 'shop/web 1.0.0 is stored with other content: give spec.version a new value';
      const conflict = { status: 'True' as const, reason: 'VersionConflict', message, lastTransitionTime: '' };
      plane.status = {
        conditions: [
          { ...conflict, type: 'Ready', status: 'False' },
          { ...conflict, type: 'Stalled' },
        ],
      };
      await send('failed');
      expect(alerts()).toContain(`VersionConflict. ${message}`);
    });

    it('shows it of a reference, too, which the plane only fetches later', async () => {
      const message = 'shop/web 1.0.0 is stored with other content: give spec.version a new value';
      const conflict = { status: 'True' as const, reason: 'VersionConflict', message, lastTransitionTime: '' };
      plane.status = {
        conditions: [
          { ...conflict, type: 'Ready', status: 'False' },
          { ...conflict, type: 'Stalled' },
        ],
      };
      const transfer = TestBed.inject(Transfers).sendReference(REQUEST, 'registry.example/web:1');
      await vi.waitUntil(() => transfer.phase() === 'sent', { timeout: 20_000 });
      await settle();
      const stored = element.querySelector('[data-step=Stored]');
      expect(stored?.getAttribute('data-tone')).toBe('bad');
      expect(stored?.textContent).toContain(message);
    });
  });
});
