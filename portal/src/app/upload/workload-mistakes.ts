import { ImageSettings } from './image-config';
import { lines, namesIn, PortDraft, tcpPorts, WorkloadDraft } from './workload';

/** What is wrong with a form, by field; nothing for what is right. The rules are those of the CRD and the Manifestor. */
export interface WorkloadMistakes {
  replicas: string;
  /** One for each port. */
  ports: string[];
  cpu: string;
  memory: string;
  disk: string;
  command: string;
  secrets: string;
  /** Its way: path, port or command. */
  probe: string;
  /** Its numbers. */
  pace: string;
}

const MAX_PORTS = 32;
const MAX_SECRETS = 16;
const MAX_ARGUMENTS = 64;
const MAX_ARGUMENT = 4096;
const CPU = /^[0-9]+(\.[0-9]+)?m?$/;
const BYTES = /^[0-9]+(\.[0-9]+)?([kMGT]|[KMGT]i)?$/;
const OBJECT = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

export function mistakesOf(draft: WorkloadDraft, image?: ImageSettings): WorkloadMistakes {
  return {
    replicas: whole(draft.replicas, 0, 1000),
    ports: (draft.ports ?? []).map((port, index, all) => portMistake(port, index, all)),
    cpu: amounts(draft.cpuRequest, draft.cpuLimit, CPU, 'as in 250m or 1.5'),
    memory: amounts(draft.memoryRequest, draft.memoryLimit, BYTES, 'as in 256Mi'),
    disk: amounts(draft.diskRequest, draft.diskLimit, BYTES, 'as in 1Gi'),
    command: commandMistake([...lines(draft.command)], [...lines(draft.args)]),
    secrets: secretsMistake(namesIn(draft.secrets)),
    probe: probeMistake(draft, image),
    pace: paceMistake(draft),
  };
}

export function isRight({ ports, ...others }: WorkloadMistakes): boolean {
  return [...ports, ...Object.values(others)].every((mistake) => !mistake);
}

function whole(text: string, least: number, most: number): string {
  const number = Number(text);
  return !text.trim() || (/^\d+$/.test(text.trim()) && number >= least && number <= most)
    ? ''
    : `A whole number from ${least} to ${most}.`;
}

function portMistake({ name, number, protocol }: PortDraft, index: number, all: PortDraft[]): string {
  const [own, before] = [name.trim(), all.slice(0, index)];
  if (index >= MAX_PORTS) {
    return `At most ${MAX_PORTS} ports.`;
  }
  if (!isPortName(own)) {
    return 'A port’s name has 1 to 15 lower-case letters, digits and single hyphens inside, one letter at least.';
  }
  if (!number.trim() || whole(number, 1, 65535)) {
    return 'A port is a number from 1 to 65535.';
  }
  if (before.some((other) => other.name.trim() === own)) {
    return `Another port is called ${own}: names differ.`;
  }
  if (before.some((other) => Number(other.number) === Number(number) && other.protocol === protocol)) {
    return `${Number(number)}/${protocol} is above already: each port is named once.`;
  }
  return '';
}

/** RFC 6335, section 5.1, which Kubernetes takes names of ports by. */
function isPortName(name: string): boolean {
  return /^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/.test(name) && /[a-z]/.test(name) && !name.includes('--');
}

function amounts(request: string, limit: string, shape: RegExp, example: string): string {
  const [least, most] = [request.trim(), limit.trim()];
  if ([least, most].some((amount) => amount && (!shape.test(amount) || amount.length > 32))) {
    return `An amount, ${example}.`;
  }
  return least && most && quantity(least) > quantity(most) ? 'What is set aside is more than the limit.' : '';
}

const FACTORS: Record<string, number> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

function quantity(text: string): number {
  const [, number = '0', unit = ''] = /^([0-9.]+)(.*)$/.exec(text) ?? [];
  return Number(number) * (FACTORS[unit] ?? 1);
}

function commandMistake(...commands: string[][]): string {
  if (commands.some((command) => command.length > MAX_ARGUMENTS)) {
    return `At most ${MAX_ARGUMENTS} arguments.`;
  }
  return commands.flat().some((argument) => argument.length > MAX_ARGUMENT)
    ? `An argument has at most ${MAX_ARGUMENT} characters.`
    : '';
}

function secretsMistake(names: string[]): string {
  const wrong = names.find((name) => !OBJECT.test(name));
  if (wrong !== undefined) {
    return `“${wrong}” is no name of a Secret: lower-case letters, digits, hyphens and dots.`;
  }
  return names.length > MAX_SECRETS ? `At most ${MAX_SECRETS} Secrets.` : '';
}

function probeMistake(draft: WorkloadDraft, image?: ImageSettings): string {
  const { kind, path, port, command } = draft.probe;
  if (kind === 'exec') {
    return lines(command).length ? commandMistake(lines(command)) : 'A command, one argument a line.';
  }
  if (kind !== 'http' && kind !== 'tcp') {
    return '';
  }
  if (kind === 'http' && path.trim() && (!path.trim().startsWith('/') || path.trim().length > 1024)) {
    return 'A path begins with /, as in /healthz.';
  }
  const known = tcpPorts(draft, image);
  if (!known.length) {
    return image
      ? 'There is no TCP port to ask: the image exposes none, so add one above.'
      : 'There is no TCP port to ask that is known here: add one above.';
  }
  return port && !known.includes(port) ? `No TCP port is called ${port}: there is ${known.join(', ')}.` : '';
}

function paceMistake({ probe }: WorkloadDraft): string {
  if (!['http', 'tcp', 'exec'].includes(probe.kind)) {
    return '';
  }
  const seconds = [probe.period, probe.timeout].find((text) => whole(text, 1, 3600));
  if (seconds !== undefined) {
    return 'Seconds are whole numbers from 1 to 3600.';
  }
  return whole(probe.failures, 1, 100)
    ? 'Failures are a whole number from 1 to 100.'
    : whole(probe.startup, 1, 3600)
      ? 'The time to start is a whole number of seconds from 1 to 3600.'
      : '';
}
