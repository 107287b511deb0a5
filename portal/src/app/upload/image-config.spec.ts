import { imageSettings } from './image-config';

describe('imageSettings', () => {
  it('reads what docker writes', () => {
    const settings = imageSettings({
      config: {
        ExposedPorts: { '8080/tcp': {}, '53/udp': {}, '53': {}, '0/tcp': {}, '80-90/tcp': {} },
        User: 'app:staff',
        Entrypoint: ['/web'],
        Cmd: null,
        Healthcheck: { Test: ['CMD-SHELL', 'curl -f localhost'], Interval: 5_500_000_000, Retries: 2 },
        Volumes: { '/data': {}, '/cache': {} },
      },
    });
    expect(settings).toEqual({
      ports: [
        { number: 53, protocol: 'TCP' },
        { number: 53, protocol: 'UDP' },
        { number: 8080, protocol: 'TCP' },
      ],
      user: 'app:staff',
      entrypoint: ['/web'],
      cmd: [],
      healthcheck: {
        command: ['/bin/sh', '-c', 'curl -f localhost'],
        intervalSeconds: 6,
        timeoutSeconds: 30,
        retries: 2,
      },
      volumes: ['/cache', '/data'],
    });
  });

  it('takes nothing and null for an image without wishes', () => {
    const nothing = { ports: [], user: undefined, entrypoint: [], cmd: [], healthcheck: undefined, volumes: [] };
    expect(imageSettings({})).toEqual(nothing);
    expect(imageSettings({ config: { Healthcheck: { Test: ['NONE'] }, User: '', Volumes: null } })).toEqual(nothing);
  });
});
