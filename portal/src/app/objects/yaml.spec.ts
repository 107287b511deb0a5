import { asWritten, mappingFrom, toYaml } from './yaml';

describe('asWritten', () => {
  it('leaves out what the API server and the plane put in', () => {
    const written = asWritten({
      apiVersion: 'orbit.k8or.io/v1alpha1',
      kind: 'EnvironmentOverlay',
      metadata: {
        name: 'web.prod',
        namespace: 'shop',
        uid: 'u',
        resourceVersion: '7',
        annotations: { 'orbit.k8or.io/changed-by': 'maria', 'shop.example/team': 'checkout' },
      },
      spec: { application: 'web' },
      status: {},
    });
    expect(written).toEqual({
      apiVersion: 'orbit.k8or.io/v1alpha1',
      kind: 'EnvironmentOverlay',
      metadata: { name: 'web.prod', namespace: 'shop', annotations: { 'shop.example/team': 'checkout' } },
      spec: { application: 'web' },
    });
    expect(toYaml(written)).toContain('kind: EnvironmentOverlay\n');
  });
});

describe('mappingFrom', () => {
  it('reads names with values and refuses the rest', () => {
    expect(mappingFrom('a: {b: 1}')).toEqual({ a: { b: 1 } });
    expect(mappingFrom(' \n')).toBeUndefined();
    expect(() => mappingFrom('- a')).toThrow();
    expect(() => mappingFrom('a: [')).toThrow();
  });
});
