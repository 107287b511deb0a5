import { signal } from '@angular/core';
import { TestBed } from '@angular/core/testing';
import { Subject } from 'rxjs';
import { Plane } from '../api/plane';
import { Problem } from '../api/problem';
import { ImageUpload } from '../api/types';
import { Live } from '../live/live';
import { SessionStore } from '../session/session-store';
import { UploadRequest } from './request';
import { HASHER, Transfers } from './transfers';

// Whole components take their time on a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const REQUEST: UploadRequest = {
  ns: 'shop',
  application: 'web',
  version: '1.0.0',
  environments: ['dev'],
  config: {},
  noSecrets: false,
  workload: {},
};

/** A plane that says of everything that it has it already. */
class FakePlane {
  objects = new Map<string, ImageUpload>();
  status: ImageUpload['status'] = { release: { version: '1.0.0', digest: 'd' } };
  writes = 0;
  conflicts = 0;

  async object(_: string, __: string, name: string): Promise<unknown> {
    const data = this.objects.get(name);
    if (!data) {
      throw new Problem(404, 'Not Found', 'x');
    }
    return { data: { ...data, status: this.status }, etag: '"1"' };
  }

  async create(_: string, __: string, object: ImageUpload): Promise<void> {
    this.writes++;
    this.objects.set(object.metadata.name, object);
  }

  async replace(_: string, __: string, object: ImageUpload): Promise<void> {
    if (this.conflicts-- > 0) {
      throw new Problem(412, 'Precondition Failed', 'x');
    }
    await this.create(_, __, object);
  }
}

/** Locks as browsers have them, which the tests' one has not. */
function stubLocks(): void {
  const held = new Map<string, Promise<unknown>>();
  const hold = <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const done = work();
    held.set(name, done);
    const free = (): void => void (held.get(name) === done && held.delete(name));
    done.then(free, free);
    return done;
  };
  vi.stubGlobal('navigator', {
    locks: {
      async request(name: string, options: LockOptions, work: (lock: object | null) => Promise<unknown>) {
        if (options.ifAvailable) {
          return held.has(name) ? work(null) : hold(name, () => work({}));
        }
        while (held.has(name)) {
          await held.get(name)?.catch(() => undefined);
        }
        return hold(name, () => work({}));
      },
    },
  });
}

describe('Transfers', () => {
  let plane: FakePlane;
  let hashed: Blob[];

  function transfers(): Transfers {
    TestBed.resetTestingModule();
    TestBed.configureTestingModule({
      providers: [
        { provide: Plane, useValue: plane },
        { provide: Live, useValue: { changes: new Subject() } },
        { provide: SessionStore, useValue: { session: signal({ user: { name: 'maria', groups: [] } }) } },
        {
          provide: HASHER,
          useValue: async (file: Blob) => {
            hashed.push(file);
            return `sha256:${await file.text()}`;
          },
        },
      ],
    });
    const made = TestBed.inject(Transfers);
    TestBed.tick();
    return made;
  }

  beforeEach(() => {
    localStorage.clear();
    plane = new FakePlane();
    hashed = [];
  });
  afterEach(() => vi.unstubAllGlobals());

  it('writes the object with the digest of the file and the hash of its key, never the key', async () => {
    const transfer = transfers().sendArchive(REQUEST, new File(['abc'], 'web.tar'));
    await vi.waitUntil(() => transfer.phase() === 'sent', { timeout: 20_000 });
    const object = plane.objects.get('web');
    expect(object?.spec.images[0]?.source).toEqual({ archive: { sha256: 'sha256:abc', size: 3 } });
    expect(object?.metadata.annotations?.['orbit.k8or.io/upload-key-sha256']).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(transfer.record().key).toBeUndefined();
  });

  it('writes over an object whose status moved on between', async () => {
    plane.conflicts = 2;
    plane.objects.set('web', {
      apiVersion: '',
      kind: '',
      metadata: { name: 'web' },
      spec: { application: 'web', version: '0.9.0', images: [] },
    });
    const transfer = transfers().sendReference(REQUEST, 'registry.example/web:1');
    await vi.waitUntil(() => transfer.phase() === 'sent', { timeout: 20_000 });
    expect(plane.objects.get('web')?.spec.version).toBe('1.0.0');
  });

  it('says why the plane does not want it', async () => {
    plane.status = {
      conditions: [
        { type: 'Ready', status: 'False', reason: 'VersionConflict', message: 'other content', lastTransitionTime: '' },
        {
          type: 'Stalled',
          status: 'True',
          reason: 'VersionConflict',
          message: 'other content',
          lastTransitionTime: '',
        },
      ],
    };
    const transfer = transfers().sendArchive(REQUEST, new File(['abc'], 'web.tar'));
    await vi.waitUntil(() => transfer.phase() === 'failed', { timeout: 20_000 });
    expect(transfer.problem()).toMatchObject({ title: 'VersionConflict', detail: 'other content' });
  });

  it('is taken up after a reload, with the same file and no other', async () => {
    plane.status = {};
    const before = transfers().sendArchive(REQUEST, new File(['abc'], 'web.tar', { lastModified: 1 }));
    await vi.waitUntil(() => before.phase() === 'waiting', { timeout: 20_000 });
    const key = before.record().key;

    const again = transfers();
    const [transfer] = again.of('shop');
    if (!transfer) {
      throw new Error('it is forgotten');
    }
    await vi.waitUntil(() => transfer.phase() === 'needsFile', { timeout: 20_000 });
    expect(transfer.record().key).toBe(key);
    await again.continueWith(transfer, new File(['abcd'], 'web.tar'));
    expect(transfer.phase()).toBe('needsFile');
    expect(transfer.problem()?.title).toBe('That is another file');
    // Of the same length, but other content.
    await again.continueWith(transfer, new File(['abd'], 'web.tar', { lastModified: 2 }));
    expect(transfer.phase()).toBe('failed');
    plane.status = { release: { version: '1.0.0', digest: 'd' } };
    await again.continueWith(transfer, new File(['abc'], 'web.tar', { lastModified: 3 }));
    expect(transfer.phase()).toBe('sent');
    expect(plane.objects.get('web')?.spec.images[0]?.source.archive?.sha256).toBe('sha256:abc');
  });

  it('stays paused after a reload, until a person wants it to go on', async () => {
    plane.status = {};
    const before = transfers();
    const paused = before.sendArchive(REQUEST, new File(['abc'], 'web.tar'));
    await vi.waitUntil(() => paused.phase() === 'waiting', { timeout: 20_000 });
    before.pause(paused);
    const again = transfers();
    const [transfer] = again.of('shop');
    expect(transfer?.phase()).toBe('paused');
    if (transfer) {
      await again.resume(transfer);
      expect(transfer.phase()).toBe('needsFile');
      expect(transfer.record().paused).toBe(false);
    }
  });

  it('is sent by one tab at a time: another waits, and sees how it ended', async () => {
    plane.status = {};
    stubLocks();
    const first = transfers().sendArchive(REQUEST, new File(['abc'], 'web.tar', { lastModified: 1 }));
    await vi.waitUntil(() => first.phase() === 'waiting', { timeout: 20_000 });

    const otherTab = transfers();
    const [second] = otherTab.of('shop');
    if (!second) {
      throw new Error('it is not shown');
    }
    await vi.waitUntil(() => second.phase() === 'needsFile', { timeout: 20_000 });
    const going = otherTab.continueWith(second, new File(['abc'], 'web.tar', { lastModified: 1 }));
    await vi.waitUntil(() => second.phase() === 'elsewhere', { timeout: 20_000 });
    const writes = plane.writes;
    plane.status = { release: { version: '1.0.0', digest: 'd' } };
    await going;
    expect([first.phase(), second.phase(), plane.writes]).toEqual(['sent', 'sent', writes]);
  });

  it('does not show the uploads of another person', async () => {
    const transfer = transfers().sendReference(REQUEST, 'web:1');
    await vi.waitUntil(() => transfer.phase() === 'sent', { timeout: 20_000 });
    localStorage.setItem('orbit.transfers', (localStorage.getItem('orbit.transfers') ?? '').replace('maria', 'li'));
    expect(transfers().all()).toEqual([]);
  });

  it('forgets what is dismissed', async () => {
    const all = transfers();
    const transfer = all.sendReference(REQUEST, 'web:1');
    await vi.waitUntil(() => transfer.phase() === 'sent', { timeout: 20_000 });
    all.dismiss(transfer);
    expect(transfers().all()).toEqual([]);
  });
});
