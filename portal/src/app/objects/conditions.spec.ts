import { Condition, KubernetesObject } from '../api/types';
import { isOfThePast, standing, toneOf } from './conditions';

function condition(part: Partial<Condition>): Condition {
  return { type: 'Ready', status: 'True', reason: 'Succeeded', message: 'm', lastTransitionTime: '', ...part };
}

function object(conditions: Condition[], generation = 1): KubernetesObject {
  return { apiVersion: '', kind: '', metadata: { name: 'web', generation }, spec: {}, status: { conditions } };
}

describe('isOfThePast', () => {
  const at = (uid: string, state: string, name = 'dev'): Parameters<typeof isOfThePast>[0] => ({
    cluster: { namespace: 'shop', name, uid },
    state,
  });

  it('is what was lost with a cluster whose name another one has by now', () => {
    const lost = at('old', 'lost');
    expect(isOfThePast(lost, [lost, at('new', 'healthy')])).toBe(true);
    expect(isOfThePast(lost, [lost])).toBe(false);
    expect(isOfThePast(lost, [lost, at('new', 'removed'), at('other', 'healthy', 'prod')])).toBe(false);
    expect(isOfThePast(at('new', 'failed'), [at('old', 'healthy')])).toBe(false);
  });
});

describe('standing', () => {
  it('is what Ready says', () => {
    expect(standing(object([condition({})]))).toMatchObject({ tone: 'good', word: 'Ready' });
    expect(standing(object([condition({ reason: 'Idle' })]))).toMatchObject({ tone: 'idle', word: 'Idle' });
    expect(standing(object([condition({ status: 'False', reason: 'AwaitingUpload' })]))).toMatchObject({
      tone: 'busy',
    });
    expect(standing(object([condition({ status: 'False', reason: 'ArchiveInvalid' })]))).toMatchObject({ tone: 'bad' });
  });

  it('does not take the status of an older generation for that of what is asked for now', () => {
    expect(standing(object([condition({ observedGeneration: 1 })], 2))).toMatchObject({
      tone: 'busy',
      word: 'Waiting',
    });
    expect(standing(object([condition({ observedGeneration: 2 })], 2)).tone).toBe('good');
  });

  it('says that nothing more happens by itself', () => {
    const stalled = condition({ type: 'Stalled', reason: 'VersionConflict', message: 'other content' });
    expect(standing(object([condition({ status: 'False' }), stalled]))).toEqual({
      tone: 'bad',
      word: 'VersionConflict',
      message: 'other content',
    });
  });

  it('is busy without a status', () => {
    expect(standing({ apiVersion: '', kind: '', metadata: { name: 'web' }, spec: {} }).tone).toBe('busy');
  });
});

describe('toneOf', () => {
  it('knows conditions that are bad news when they hold', () => {
    expect(toneOf(condition({ type: 'Drifted' }))).toBe('warn');
    expect(toneOf(condition({ type: 'Stalled' }))).toBe('bad');
    expect(toneOf(condition({ type: 'RestrictedPSS', status: 'False' }))).toBe('warn');
    expect(toneOf(condition({ type: 'Healthy', status: 'Unknown' }))).toBe('idle');
  });
});
