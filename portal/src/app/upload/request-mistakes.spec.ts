import { Release } from '../api/types';
import { parseConfig } from './config';
import { mistakesIn, Written } from './request-mistakes';
import { EMPTY_WORKLOAD } from './workload';
import { mistakesOf } from './workload-mistakes';

const WRITTEN: Written = {
  hasSource: true,
  noImage: '',
  application: 'web',
  version: '1.1.0',
  stored: [],
  environment: '',
  config: parseConfig('LOG_LEVEL=info'),
  noSecrets: false,
  workload: mistakesOf(EMPTY_WORKLOAD),
};

function release(version: string, purgedAt?: string): Release {
  return { version, digest: 'd', storedAt: '', storedBy: 'maria', environments: [], images: [], purgedAt };
}

describe('mistakesIn', () => {
  it('finds none where there is none', () => {
    expect(Object.values(mistakesIn(WRITTEN)).join('')).toBe('');
  });

  it('says which names Kubernetes refuses', () => {
    for (const application of ['', 'Web', '1web', 'web_shop', 'web-', 'web.shop', 'a'.repeat(41)]) {
      expect(mistakesIn({ ...WRITTEN, application }).application).toContain('beginning with a letter');
    }
    for (const version of ['', 'v1.0.0', '1.0', '1.0.0+build', '1.0.0-RC1', '01.0.0', `1.0.0-${'a'.repeat(60)}`]) {
      expect(mistakesIn({ ...WRITTEN, version }).version).toContain('Three numbers');
    }
    for (const environment of ['Dev', 'a'.repeat(21), '-dev']) {
      expect(mistakesIn({ ...WRITTEN, environment }).environment).toContain('up to 20');
    }
  });

  it('says that a version is there already, or never can be again', () => {
    const stored = [release('1.1.0'), release('1.0.0', '2026-11-24T12:00:00Z')];
    expect(mistakesIn({ ...WRITTEN, stored }).version).toContain('stored already');
    expect(mistakesIn({ ...WRITTEN, stored, version: '1.0.0' }).version).toContain('was given up');
    expect(mistakesIn({ ...WRITTEN, stored, version: '1.2.0' }).version).toBe('');
  });

  it('keeps secrets and what is no image from being sent', () => {
    const config = parseConfig('DB_PASSWORD=hunter2');
    expect(mistakesIn({ ...WRITTEN, config }).config).toContain('Take out what is secret');
    expect(mistakesIn({ ...WRITTEN, config, noSecrets: true }).config).toBe('');
    expect(mistakesIn({ ...WRITTEN, noImage: 'This is no tar archive.' }).source).toBe('This is no tar archive.');
    expect(mistakesIn({ ...WRITTEN, hasSource: false }).source).toContain('Drop an archive');
  });
});
