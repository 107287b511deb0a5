import { EnvironmentOverlay } from '../api/types';
import { formOf, formOnTop, mistakes, withForm } from './form';

const OVERLAY: EnvironmentOverlay = {
  apiVersion: 'orbit.k8or.io/v1alpha1',
  kind: 'EnvironmentOverlay',
  metadata: { name: 'web.prod', namespace: 'shop', resourceVersion: '7' },
  spec: {
    application: 'web',
    environment: 'prod',
    version: { range: '~1.0', prereleases: 'Include' },
    values: { replicas: 2 },
    delivery: { timeout: '5m' },
  },
};

describe('withForm', () => {
  it('changes nothing where nothing was edited', () => {
    expect(withForm(OVERLAY, formOf(OVERLAY.spec))).toEqual(OVERLAY);
  });

  it('pins a version and keeps what the form does not know of', () => {
    const { spec, metadata } = withForm(OVERLAY, { ...formOf(OVERLAY.spec), mode: 'pin', pin: '1.0.0' });
    expect(spec.version).toEqual({ pin: '1.0.0' });
    expect(spec['delivery']).toEqual({ timeout: '5m' });
    expect(metadata.resourceVersion).toBe('7');
  });

  it('takes out what was emptied', () => {
    const { spec } = withForm(OVERLAY, { ...formOf(OVERLAY.spec), mode: 'newest', values: '' });
    expect(spec).not.toHaveProperty('version');
    expect(spec).not.toHaveProperty('values');
  });
});

describe('formOnTop', () => {
  const before = formOf(OVERLAY.spec);

  it('keeps their version where only values were edited, and their values beside mine', () => {
    const mine = { ...before, values: 'replicas: 3' };
    const theirs = { ...before, mode: 'pin' as const, pin: '1.0.0', values: 'replicas: 2\ntier: web', suspend: true };
    expect(formOnTop(before, mine, theirs)).toEqual({ ...theirs, values: 'replicas: 3\ntier: web\n' });
  });

  it('puts my version on top of their values, and what is no YAML as it is', () => {
    const mine = { ...before, mode: 'pin' as const, pin: '1.1.0', kustomize: 'a: [', targetNamespace: 'blue' };
    const theirs = { ...before, range: '~2.0', values: 'replicas: 9', kustomize: 'b: 1' };
    expect(formOnTop(before, mine, theirs)).toEqual({ ...mine, values: 'replicas: 9' });
  });

  it('takes out what I have emptied', () => {
    expect(formOnTop(before, { ...before, values: '' }, before).values).toBe('');
    const theirs = { ...before, values: 'replicas: 2\ntier: web' };
    expect(formOnTop(before, { ...before, values: '' }, theirs).values).toBe('tier: web\n');
  });
});

describe('mistakes', () => {
  it('names the field', () => {
    const form = formOf(OVERLAY.spec);
    expect(mistakes(form)).toEqual({});
    expect(Object.keys(mistakes({ ...form, mode: 'pin' }))).toEqual(['pin']);
    expect(Object.keys(mistakes({ ...form, range: ' ', values: '- a', kustomize: 'a: [' }))).toEqual([
      'range',
      'values',
      'kustomize',
    ]);
  });
});
