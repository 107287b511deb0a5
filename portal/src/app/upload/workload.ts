import { Probe, Probes, Quantities, Workload } from '../api/types';
import { ImageSettings, Protocol } from './image-config';

export interface PortDraft {
  name: string;
  number: string;
  protocol: Protocol;
}

/** Where the health of a container is asked: `image` is its HEALTHCHECK, `kept` what was written by hand before. */
export type ProbeKind = 'image' | 'none' | 'http' | 'tcp' | 'exec' | 'kept';

export interface ProbeDraft {
  kind: ProbeKind;
  path: string;
  /** Name of a port; empty is the first one by TCP. */
  port: string;
  /** One argument a line. */
  command: string;
  period: string;
  timeout: string;
  failures: string;
  /** Seconds that the program may take to start. */
  startup: string;
}

/** How an image is to run, as a person writes it: empty is what the image says, or Kubernetes' own default. */
export interface WorkloadDraft {
  replicas: string;
  /** None are those of the image. */
  ports?: PortDraft[];
  cpuRequest: string;
  cpuLimit: string;
  memoryRequest: string;
  memoryLimit: string;
  diskRequest: string;
  diskLimit: string;
  /** One argument a line, as args. */
  command: string;
  args: string;
  /** Names, with spaces or commas between. */
  secrets: string;
  probe: ProbeDraft;
  /** Probes that the form has no fields for. */
  kept?: Probes;
}

export const EMPTY_PROBE: ProbeDraft = {
  kind: 'image',
  path: '',
  port: '',
  command: '',
  period: '',
  timeout: '',
  failures: '',
  startup: '',
};

export const EMPTY_WORKLOAD: WorkloadDraft = {
  replicas: '',
  cpuRequest: '',
  cpuLimit: '',
  memoryRequest: '',
  memoryLimit: '',
  diskRequest: '',
  diskLimit: '',
  command: '',
  args: '',
  secrets: '',
  probe: EMPTY_PROBE,
};

/** The ports that the plane gives an image by its EXPOSE, under the names that it gives them. */
export function portsOf(image: ImageSettings | undefined): PortDraft[] {
  return (image?.ports ?? []).map(({ number, protocol }) => ({
    name: `${protocol.toLowerCase()}-${number}`,
    number: String(number),
    protocol,
  }));
}

/** The form for what was asked for before. */
export function draftOf(workload: Workload = {}): WorkloadDraft {
  const { requests = {}, limits = {} } = workload.resources ?? {};
  const probe = probeDraftOf(workload.probes);
  return {
    replicas: workload.replicas?.toString() ?? '',
    ports: workload.ports?.length
      ? workload.ports.map(({ name = '', containerPort, protocol = 'TCP' }) => ({
          name,
          number: String(containerPort),
          protocol,
        }))
      : undefined,
    cpuRequest: requests.cpu ?? '',
    cpuLimit: limits.cpu ?? '',
    memoryRequest: requests.memory ?? '',
    memoryLimit: limits.memory ?? '',
    diskRequest: requests['ephemeral-storage'] ?? '',
    diskLimit: limits['ephemeral-storage'] ?? '',
    command: (workload.command ?? []).join('\n'),
    args: (workload.args ?? []).join('\n'),
    secrets: (workload.secretRefs ?? []).map(({ name }) => name).join(', '),
    probe: probe ?? { ...EMPTY_PROBE, kind: 'kept' },
    kept: probe ? undefined : workload.probes,
  };
}

/** What is asked for: only what is not as in the image. */
export function workloadOf(draft: WorkloadDraft, image?: ImageSettings): Workload {
  const workload: Workload = {};
  if (draft.replicas.trim()) {
    workload.replicas = Number(draft.replicas);
  }
  if (draft.ports?.length) {
    workload.ports = draft.ports.map(({ name, number, protocol }) => ({
      name: name.trim(),
      containerPort: Number(number),
      ...(protocol === 'TCP' ? {} : { protocol }),
    }));
  }
  const [command, args, secrets] = [lines(draft.command), lines(draft.args), namesIn(draft.secrets)];
  if (command.length) {
    workload.command = command;
  }
  if (args.length) {
    workload.args = args;
  }
  if (secrets.length) {
    workload.secretRefs = secrets.map((name) => ({ name }));
  }
  const requests = quantities(draft.cpuRequest, draft.memoryRequest, draft.diskRequest);
  const limits = quantities(draft.cpuLimit, draft.memoryLimit, draft.diskLimit);
  if (requests || limits) {
    workload.resources = { ...(requests && { requests }), ...(limits && { limits }) };
  }
  const probes = probesOf(draft, image);
  if (probes) {
    workload.probes = probes;
  }
  return workload;
}

/** Names of the ports that probes can ask. */
export function tcpPorts(draft: WorkloadDraft, image?: ImageSettings): string[] {
  const ports = draft.ports?.length ? draft.ports : portsOf(image);
  return ports.filter(({ protocol }) => protocol === 'TCP').map(({ name }) => name.trim());
}

/** The arguments of a command, one a line. */
export function lines(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== '');
}

export function namesIn(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

function quantities(cpu: string, memory: string, disk: string): Quantities | undefined {
  const given = Object.entries({ cpu, memory, 'ephemeral-storage': disk })
    .map(([name, amount]) => [name, amount.trim()] as const)
    .filter(([, amount]) => amount);
  return given.length ? Object.fromEntries(given) : undefined;
}

function probesOf(draft: WorkloadDraft, image?: ImageSettings): Probes | undefined {
  const { probe } = draft;
  if (probe.kind === 'image') {
    return undefined;
  }
  if (probe.kind === 'kept') {
    return draft.kept;
  }
  if (probe.kind === 'none') {
    return {};
  }
  const port = probe.port || (tcpPorts(draft, image)[0] ?? '');
  const way: Probe =
    probe.kind === 'http'
      ? { httpGet: { path: probe.path.trim() || '/', port } }
      : probe.kind === 'tcp'
        ? { tcpSocket: { port } }
        : { exec: { command: lines(probe.command) } };
  const number = (name: keyof Probe, text: string): Partial<Probe> => (text.trim() ? { [name]: Number(text) } : {});
  const own = {
    ...way,
    ...number('periodSeconds', probe.period),
    ...number('timeoutSeconds', probe.timeout),
    ...number('failureThreshold', probe.failures),
  };
  const startup = Number(probe.startup);
  return {
    ...(startup > 0 ? { startup: { ...way, ...startupPace(startup) } } : {}),
    liveness: own,
    readiness: own,
  };
}

/** How often it is asked while it starts, so that it has so many seconds: at most a hundred times. */
function startupPace(seconds: number): { periodSeconds: number; failureThreshold: number } {
  const periodSeconds = Math.max(Math.min(5, seconds), Math.ceil(seconds / 100));
  return { periodSeconds, failureThreshold: Math.ceil(seconds / periodSeconds) };
}

/** The fields of the form for probes; nothing where it has none for them. */
function probeDraftOf(probes: Probes | undefined): ProbeDraft | undefined {
  if (!probes) {
    return EMPTY_PROBE;
  }
  const { startup, liveness, readiness, ...others } = probes;
  if (!startup && !liveness && !readiness) {
    return { ...EMPTY_PROBE, kind: 'none' };
  }
  if (!liveness || !readiness || Object.keys(others).length || !same(liveness, readiness)) {
    return undefined;
  }
  const seconds = startup ? (startup.periodSeconds ?? 0) * (startup.failureThreshold ?? 0) : 0;
  const draft: ProbeDraft = {
    kind: liveness.httpGet ? 'http' : liveness.tcpSocket ? 'tcp' : 'exec',
    path: liveness.httpGet?.path ?? '',
    port: (liveness.httpGet ?? liveness.tcpSocket)?.port ?? '',
    command: (liveness.exec?.command ?? []).join('\n'),
    period: liveness.periodSeconds?.toString() ?? '',
    timeout: liveness.timeoutSeconds?.toString() ?? '',
    failures: liveness.failureThreshold?.toString() ?? '',
    startup: seconds ? String(seconds) : '',
  };
  // What the fields do not say would be lost.
  return same(probesOf({ ...EMPTY_WORKLOAD, probe: draft }), probes) ? draft : undefined;
}

function same(a: unknown, b: unknown): boolean {
  const sorted = (value: unknown): unknown =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(
          Object.entries(value)
            .map(([key, inner]) => [key, sorted(inner)] as const)
            .sort(([one], [other]) => one.localeCompare(other)),
        )
      : value;
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}
