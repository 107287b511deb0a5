import { Condition, KubernetesObject } from '../api/types';

/** How something is, as far as colours and icons go; the words beside them say it too. */
export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'idle';

export interface Standing {
  tone: Tone;
  word: string;
  message: string;
}

export function condition(object: KubernetesObject, type: string): Condition | undefined {
  return object.status?.conditions?.find((each) => each.type === type);
}

/** Conditions that are bad news when they are true. */
const WARNING = new Set(['Stalled', 'Drifted']);

export function toneOf(each: Condition): Tone {
  if (each.status === 'Unknown') {
    return 'idle';
  }
  const holds = each.status === 'True';
  if (WARNING.has(each.type)) {
    return holds ? (each.type === 'Stalled' ? 'bad' : 'warn') : 'good';
  }
  if (each.type === 'Reconciling') {
    return holds ? 'busy' : 'idle';
  }
  if (each.type === 'RestrictedPSS') {
    return holds ? 'good' : 'warn';
  }
  if (holds) {
    return each.reason === 'Idle' || each.reason === 'Suspended' ? 'idle' : 'good';
  }
  return each.reason === 'Progressing' || each.reason.startsWith('Awaiting') ? 'busy' : 'bad';
}

/** How an object is, all in all. What its status says of an older generation counts for nothing. */
export function standing(object: KubernetesObject): Standing {
  if (object.metadata.deletionTimestamp) {
    return { tone: 'busy', word: 'Going', message: 'It is being deleted.' };
  }
  const ready = condition(object, 'Ready');
  const stalled = condition(object, 'Stalled');
  if (!ready || isOutdated(ready, object)) {
    return { tone: 'busy', word: 'Waiting', message: 'The plane has not looked at it yet.' };
  }
  if (stalled?.status === 'True') {
    return { tone: 'bad', word: stalled.reason, message: stalled.message };
  }
  const tone = toneOf(ready);
  return { tone, word: ready.status === 'True' && tone === 'good' ? 'Ready' : ready.reason, message: ready.message };
}

function isOutdated(each: Condition, object: KubernetesObject): boolean {
  const { generation } = object.metadata;
  return each.observedGeneration !== undefined && generation !== undefined && each.observedGeneration < generation;
}

/** How a deployment is, by the state that the Viewport has of it. */
export function toneOfState(state: string): Tone {
  switch (state) {
    case 'healthy':
      return 'good';
    case 'requested':
    case 'applied':
      return 'busy';
    case 'degraded':
    case 'failed':
    case 'lost':
      return 'bad';
    case 'rolledBack':
      return 'warn';
    default:
      return 'idle';
  }
}

/** Something that is deployed to a cluster. */
interface Deployed {
  cluster: string | { namespace: string; name: string; uid: string };
  state: string;
}

/** Whether it was lost with a cluster that another one has taken the name of since: that is history, and not how it is. */
export function isOfThePast(one: Deployed, all: Deployed[]): boolean {
  const { cluster } = one;
  return (
    one.state === 'lost' &&
    typeof cluster !== 'string' &&
    all.some(
      ({ cluster: other, state }) =>
        typeof other !== 'string' &&
        other.namespace === cluster.namespace &&
        other.name === cluster.name &&
        other.uid !== cluster.uid &&
        state !== 'lost' &&
        state !== 'removed',
    )
  );
}

export const STATE_WORDS: Record<string, string> = {
  requested: 'requested',
  applied: 'starting',
  healthy: 'healthy',
  degraded: 'degraded',
  failed: 'failed',
  rolledBack: 'rolled back',
  removed: 'removed',
  lost: 'lost',
};
