import { Workload } from '../api/types';
import { ImageSettings } from './image-config';
import { draftOf, EMPTY_PROBE, EMPTY_WORKLOAD, portsOf, workloadOf } from './workload';
import { isRight, mistakesOf } from './workload-mistakes';

const IMAGE: ImageSettings = {
  ports: [
    { number: 8080, protocol: 'TCP' },
    { number: 53, protocol: 'UDP' },
  ],
  entrypoint: ['/web'],
  cmd: [],
  volumes: [],
};

describe('workloadOf', () => {
  it('says nothing where everything is as in the image', () => {
    expect(workloadOf(EMPTY_WORKLOAD, IMAGE)).toEqual({});
    expect(portsOf(IMAGE).map(({ name }) => name)).toEqual(['tcp-8080', 'udp-53']);
  });

  it('says what was written', () => {
    const draft = {
      ...EMPTY_WORKLOAD,
      replicas: '3',
      ports: [
        { name: 'http', number: '8080', protocol: 'TCP' as const },
        { name: 'dns', number: '53', protocol: 'UDP' as const },
      ],
      memoryRequest: '64Mi',
      memoryLimit: '128Mi',
      cpuRequest: '250m',
      args: '--verbose\n--level\ninfo\n',
      secrets: 'web-db, web-mail',
      probe: { ...EMPTY_PROBE, kind: 'http' as const, path: '/healthz', period: '5', startup: '60' },
    };
    const asked = { httpGet: { path: '/healthz', port: 'http' } };
    expect(workloadOf(draft, IMAGE)).toEqual({
      replicas: 3,
      ports: [
        { name: 'http', containerPort: 8080 },
        { name: 'dns', containerPort: 53, protocol: 'UDP' },
      ],
      args: ['--verbose', '--level', 'info'],
      secretRefs: [{ name: 'web-db' }, { name: 'web-mail' }],
      resources: { requests: { cpu: '250m', memory: '64Mi' }, limits: { memory: '128Mi' } },
      probes: {
        startup: { ...asked, periodSeconds: 5, failureThreshold: 12 },
        liveness: { ...asked, periodSeconds: 5 },
        readiness: { ...asked, periodSeconds: 5 },
      },
    });
  });

  it('asks the image’s own port, where no other is named', () => {
    const probe = { ...EMPTY_PROBE, kind: 'tcp' as const };
    expect(workloadOf({ ...EMPTY_WORKLOAD, probe }, IMAGE).probes?.readiness).toEqual({
      tcpSocket: { port: 'tcp-8080' },
    });
    expect(workloadOf({ ...EMPTY_WORKLOAD, probe: { ...EMPTY_PROBE, kind: 'none' } }).probes).toEqual({});
  });
});

describe('draftOf', () => {
  const web = { httpGet: { path: '/', port: 'http' }, timeoutSeconds: 2 };

  it('loses nothing of what was asked for before', () => {
    const before: Workload[] = [
      {},
      { replicas: 0, ports: [{ name: 'dns', containerPort: 53, protocol: 'UDP' }] },
      { command: ['/bin/sh', '-c'], args: ['a b'], secretRefs: [{ name: 'a' }] },
      { resources: { limits: { cpu: '1', 'ephemeral-storage': '1Gi' } } },
      { probes: {} },
      { probes: { liveness: web, readiness: web } },
      {
        probes: {
          startup: { httpGet: web.httpGet, periodSeconds: 36, failureThreshold: 100 },
          liveness: web,
          readiness: web,
        },
      },
      { probes: { liveness: { exec: { command: ['a', 'b'] } }, readiness: { exec: { command: ['a', 'b'] } } } },
      // The form has no fields for these.
      { probes: { readiness: web } },
      { probes: { liveness: { ...web, initialDelaySeconds: 3 }, readiness: web } },
      { probes: { liveness: { ...web, initialDelaySeconds: 3 }, readiness: { ...web, initialDelaySeconds: 3 } } },
    ];
    for (const workload of before) {
      expect(workloadOf(draftOf(workload))).toEqual(workload);
    }
    expect(draftOf(before[6]).probe.kind).toBe('http');
    expect(draftOf(before[8]).probe.kind).toBe('kept');
  });
});

describe('mistakesOf', () => {
  it('finds none in nothing', () => {
    expect(isRight(mistakesOf(EMPTY_WORKLOAD))).toBe(true);
    expect(isRight(mistakesOf({ ...EMPTY_WORKLOAD, ports: portsOf(IMAGE) }, IMAGE))).toBe(true);
  });

  it('says what the API server would refuse', () => {
    const port = { name: 'http', number: '80', protocol: 'TCP' as const };
    const ports = [
      port,
      { ...port, number: '81' },
      { ...port, name: 'web' },
      { ...port, name: '8080', number: '82' },
      { ...port, name: 'a--b', number: '83' },
      { ...port, name: 'other', number: '70000' },
      { ...port, name: 'udp', protocol: 'UDP' as const },
    ];
    const found = mistakesOf({
      ...EMPTY_WORKLOAD,
      replicas: '1001',
      ports,
      cpuRequest: '1 core',
      memoryRequest: '1Gi',
      memoryLimit: '512Mi',
      diskLimit: '5GB',
      secrets: 'ok, Not_ok',
      args: 'x'.repeat(4097),
    });
    expect(found.ports.map((mistake) => mistake.split(' ').slice(0, 3).join(' '))).toEqual([
      '',
      'Another port is',
      '80/TCP is above',
      'A port’s name',
      'A port’s name',
      'A port is',
      '',
    ]);
    expect(found).toMatchObject({
      replicas: 'A whole number from 0 to 1000.',
      cpu: 'An amount, as in 250m or 1.5.',
      memory: 'What is set aside is more than the limit.',
      disk: 'An amount, as in 1Gi.',
      secrets: '“Not_ok” is no name of a Secret: lower-case letters, digits, hyphens and dots.',
      command: 'An argument has at most 4096 characters.',
    });
    expect(isRight(found)).toBe(false);
  });

  it('says what cannot be asked', () => {
    const probe = (part: object, image?: ImageSettings): string =>
      mistakesOf({ ...EMPTY_WORKLOAD, probe: { ...EMPTY_PROBE, ...part } }, image).probe;
    expect(probe({ kind: 'http', path: 'healthz' }, IMAGE)).toContain('begins with /');
    expect(probe({ kind: 'http', port: 'http' }, IMAGE)).toBe('No TCP port is called http: there is tcp-8080.');
    expect(probe({ kind: 'tcp' }, { ...IMAGE, ports: [] })).toContain('exposes none');
    expect(probe({ kind: 'exec' })).toContain('one argument a line');
    expect(probe({ kind: 'http' }, IMAGE)).toBe('');
    const pace = { ...EMPTY_PROBE, kind: 'http' as const, period: '0' };
    expect(mistakesOf({ ...EMPTY_WORKLOAD, probe: pace }, IMAGE).pace).toContain('from 1 to 3600');
  });
});
