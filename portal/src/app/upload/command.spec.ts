import { uploadCommand } from './command';

describe('uploadCommand', () => {
  it('says all that the command has flags for, and names what it has none for', () => {
    const { command, beyond } = uploadCommand(
      {
        ns: 'shop',
        application: 'web',
        version: '1.4.0',
        environments: ['dev', 'prod'],
        config: { GREETING: "it's" },
        noSecrets: false,
        workload: {
          replicas: 2,
          ports: [
            { name: 'http', containerPort: 8080 },
            { name: 'dns', containerPort: 53, protocol: 'UDP' },
          ],
          secretRefs: [{ name: 'web-db' }],
          probes: {},
        },
      },
      'web.tar',
    );
    expect(command.split(' \\\n  ')).toEqual([
      'orbit upload web.tar --namespace shop',
      '--application web --version 1.4.0',
      '--environment dev',
      '--environment prod',
      "--config GREETING='it'\\''s'",
      '--replicas 2',
      '--port http=8080',
      '--port dns=53/udp',
      '--secret web-db',
    ]);
    expect(beyond).toEqual(['probes']);
  });
});
