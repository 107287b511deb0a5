import { ImageUpload } from '../api/types';
import { imageUpload, suggestApplication, suggestVersion, UploadRequest } from './request';

const REQUEST: UploadRequest = {
  ns: 'shop',
  application: 'web',
  version: '1.1.0',
  environments: ['dev'],
  config: {},
  noSecrets: false,
  workload: {},
};

describe('suggestVersion', () => {
  it('takes what the archive is called, unless that is stored', () => {
    expect(suggestVersion([], 'shop/web:1.4.0')).toBe('1.4.0');
    expect(suggestVersion([], undefined, 'web-v2.0.1-rc.1.tar')).toBe('2.0.1-rc.1');
    expect(suggestVersion(['1.4.0'], 'shop/web:1.4.0')).toBe('1.5.0');
  });

  it('else follows the newest, or begins', () => {
    expect(suggestVersion(['1.9.3', '1.9.2'], 'web.tar')).toBe('1.10.0');
    expect(suggestVersion([], 'web:latest')).toBe('1.0.0');
  });
});

describe('suggestApplication', () => {
  it('is the last part of a name, without version and ending', () => {
    expect(suggestApplication('registry.example:5000/shop/web:1.4.0')).toBe('web');
    expect(suggestApplication(undefined, 'check_out-2.0.0.tar.gz')).toBe('check-out');
    expect(suggestApplication('1234')).toBe('');
  });
});

describe('imageUpload', () => {
  const source = { archive: { sha256: 'sha256:a', size: 3 } };

  it('says what was asked for and nothing else', () => {
    expect(imageUpload(REQUEST, source, 'sha256:key')).toEqual({
      apiVersion: 'orbit.k8or.io/v1alpha1',
      kind: 'ImageUpload',
      metadata: { name: 'web', namespace: 'shop', annotations: { 'orbit.k8or.io/upload-key-sha256': 'sha256:key' } },
      spec: { application: 'web', version: '1.1.0', images: [{ name: 'main', source }], environments: ['dev'] },
    });
  });

  it('keeps of the object that is there what it does not know of', () => {
    const existing: ImageUpload = {
      apiVersion: 'orbit.k8or.io/v1alpha1',
      kind: 'ImageUpload',
      metadata: {
        name: 'web',
        namespace: 'shop',
        resourceVersion: '9',
        annotations: { 'orbit.k8or.io/upload-key-sha256': 'old' },
      },
      spec: {
        application: 'web',
        version: '1.0.0',
        images: [],
        retentionPolicy: 'Delete',
        config: { A: '1' },
        workload: { type: 'Deployment', replicas: 2, args: ['-v'] },
      },
    };
    const { metadata, spec } = imageUpload(
      { ...REQUEST, workload: { replicas: 3 } },
      { reference: { image: 'web:1' } },
      undefined,
      existing,
    );
    expect(metadata.resourceVersion).toBe('9');
    expect(metadata.annotations).toBeUndefined();
    expect(spec).toMatchObject({
      version: '1.1.0',
      retentionPolicy: 'Delete',
      workload: { type: 'Deployment', replicas: 3 },
    });
    expect(spec.config).toBeUndefined();
    // The form had it to begin with, and it was taken out.
    expect(spec.workload).not.toHaveProperty('args');
  });
});
