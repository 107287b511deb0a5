import { EnvironmentOverlay } from '../api/types';
import { formOf, mistakes, withForm } from './form';

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
