import { Condition, Delivery, EnvironmentOverlay, HelmChart, ImageUpload } from '../api/types';
import { isOver, stepsOf, Traces } from './steps';

const ready = (
  type = 'Ready',
  status: Condition['status'] = 'True',
  reason = 'Succeeded',
  message = 'm',
): Condition => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: '',
});
const base = { apiVersion: '', kind: '', metadata: { name: 'x' } };

function upload(stored: boolean, conditions = [ready()]): ImageUpload {
  const spec = { application: 'web', version: '1.1.0', images: [] };
  return { ...base, spec, status: { conditions, ...(stored ? { release: { version: '1.1.0', digest: '' } } : {}) } };
}

describe('stepsOf one of several uploads of a version', () => {
  it('tells of its own image, and not of that which took its place', () => {
    const stored = upload(true);
    stored.spec.images = [{ name: 'main', source: { archive: { sha256: 'sha256:b', size: 1 } } }];
    const traces: Traces = { upload: stored, overlays: [], deliveries: [] };
    expect(stepsOf('1.1.0', [], traces, 'sha256:b')[0]?.tone).toBe('good');
    expect(stepsOf('1.1.0', [], traces, 'sha256:a')[0]).toMatchObject({ tone: 'idle' });
    expect(stepsOf('1.1.0', [], traces, 'registry.example/web:1')[0]).toMatchObject({ tone: 'idle' });
  });
});

function overlay(environment: string, version: string, spec = {}): EnvironmentOverlay {
  return {
    ...base,
    spec: { application: 'web', environment, ...spec },
    status: {
      conditions: [ready()],
      selected: { version, chartDigest: '', reason: 'Newest' },
      artifact: { digest: '', inputsDigest: '', objects: 4, images: [] },
    },
  };
}

function delivery(environment: string, healthy: boolean, extra: Condition[] = []): Delivery {
  const cluster = { namespace: 'shop', name: `${environment}-1`, uid: 'u' };
  return {
    ...base,
    spec: { application: 'web', environment, cluster, version: '1.1.0', artifact: '' },
    status: {
      applied: { artifact: '', inputsDigest: '', version: '1.1.0', at: '' },
      conditions: [ready('Healthy', healthy ? 'True' : 'False', 'Progressing', '0 of 1 pods'), ...extra],
    },
  };
}

const chart: HelmChart = {
  ...base,
  spec: { application: 'web', version: '1.1.0' },
  status: { artifact: { digest: '', size: 1 } },
};

function tones(traces: Partial<Traces>, environments = ['dev', 'prod']): string[] {
  return stepsOf('1.1.0', environments, { overlays: [], deliveries: [], ...traces }).map(({ tone }) => tone);
}

describe('stepsOf', () => {
  it('goes from step to step, never past one that is not done', () => {
    expect(tones({})).toEqual(['busy', 'idle', 'idle', 'idle']);
    expect(tones({ upload: upload(false, [ready('Ready', 'False', 'Progressing')]), chart })).toEqual([
      'busy',
      'idle',
      'idle',
      'idle',
    ]);
    expect(tones({ upload: upload(true) })).toEqual(['good', 'busy', 'idle', 'idle']);
    expect(tones({ upload: upload(true), chart, overlays: [overlay('dev', '1.1.0')] })).toEqual([
      'good',
      'good',
      'busy',
      'idle',
    ]);
  });

  it('runs once it is healthy in every cluster that it goes to', () => {
    const traces = { upload: upload(true), chart, overlays: [overlay('dev', '1.1.0'), overlay('prod', '1.1.0')] };
    expect(tones({ ...traces, deliveries: [delivery('dev', true), delivery('prod', false)] }).at(-1)).toBe('busy');
    const steps = stepsOf('1.1.0', ['dev', 'prod'], {
      ...traces,
      deliveries: [delivery('dev', true), delivery('prod', true)],
    });
    expect(steps.at(-1)).toEqual({ name: 'Running', tone: 'good', text: 'dev in dev-1, prod in prod-1' });
    expect(isOver(steps)).toBe(true);
  });

  it('does not wait for an environment whose overlay keeps another version', () => {
    const pinned = overlay('prod', '1.0.0', { version: { pin: '1.0.0' } });
    const traces = {
      upload: upload(true),
      chart,
      overlays: [overlay('dev', '1.1.0'), pinned],
      deliveries: [delivery('dev', true)],
    };
    const steps = stepsOf('1.1.0', ['dev', 'prod'], { ...traces });
    expect(steps.map(({ tone }) => tone)).toEqual(['good', 'good', 'good', 'good']);
    expect(steps[2]?.text).toContain('prod stays at 1.0.0');
  });

  it('says why it is over', () => {
    const stalled = ready('Stalled', 'True', 'ArchiveInvalid', 'no manifest');
    const steps = stepsOf('1.1.0', ['dev'], {
      upload: upload(false, [ready('Ready', 'False', 'ArchiveInvalid', 'no manifest'), stalled]),
      overlays: [],
      deliveries: [],
    });
    expect(steps[0]).toEqual({ name: 'Stored', tone: 'bad', text: 'no manifest' });
    expect(isOver(steps)).toBe(true);
  });
});
