import { UploadRequest } from './request';

/** The command that does what the page does; and what it cannot say, of what is asked for. */
export function uploadCommand(request: UploadRequest, source: string): { command: string; beyond: string[] } {
  const { replicas, ports = [], secretRefs = [], ...others } = request.workload;
  const parts = [
    `orbit upload ${source} --namespace ${request.ns}`,
    `--application ${request.application} --version ${request.version}`,
    ...request.environments.map((each) => `--environment ${each}`),
    ...Object.entries(request.config).map(([key, value]) => `--config ${key}=${quoted(value)}`),
    ...(replicas === undefined ? [] : [`--replicas ${replicas}`]),
    ...ports.map(({ name, containerPort, protocol }) => {
      const suffix = protocol && protocol !== 'TCP' ? `/${protocol.toLowerCase()}` : '';
      return `--port ${name}=${containerPort}${suffix}`;
    }),
    ...secretRefs.map(({ name }) => `--secret ${name}`),
    ...(request.owner ? [`--owner ${quoted(request.owner)}`] : []),
  ];
  return { command: parts.join(' \\\n  '), beyond: Object.keys(others) };
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
