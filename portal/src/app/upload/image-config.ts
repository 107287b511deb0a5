/** What an image says of itself, as far as the plane makes something of it. */
export interface ImageSettings {
  /** EXPOSE. */
  ports: { number: number; protocol: Protocol }[];
  /** USER, as written; root where there is none. */
  user?: string;
  /** ENTRYPOINT. */
  entrypoint: string[];
  /** CMD. */
  cmd: string[];
  /** HEALTHCHECK; none where there is none, or `HEALTHCHECK NONE`. */
  healthcheck?: { command: string[]; intervalSeconds: number; timeoutSeconds: number; retries: number };
  /** VOLUME: each becomes an empty directory of the pod. */
  volumes: string[];
}

export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** The part of an image's config that is looked at (OCI image-spec, config.md, and what only Docker writes). */
export interface ImageConfig {
  config?: {
    ExposedPorts?: Record<string, unknown> | null;
    User?: string | null;
    Entrypoint?: string[] | null;
    Cmd?: string[] | null;
    Healthcheck?: {
      Test?: string[] | null;
      /** Nanoseconds; zero stands for Docker's default, as it does with the others. */
      Interval?: number | null;
      Timeout?: number | null;
      Retries?: number | null;
    } | null;
    Shell?: string[] | null;
    Volumes?: Record<string, unknown> | null;
  } | null;
}

export function imageSettings({ config }: ImageConfig): ImageSettings {
  return {
    ports: Object.keys(config?.ExposedPorts ?? {})
      .flatMap(exposedPort)
      .sort((a, b) => a.number - b.number || a.protocol.localeCompare(b.protocol)),
    user: config?.User?.trim() || undefined,
    entrypoint: config?.Entrypoint ?? [],
    cmd: config?.Cmd ?? [],
    healthcheck: healthcheck(config),
    volumes: Object.keys(config?.Volumes ?? {}).sort(),
  };
}

function exposedPort(text: string): { number: number; protocol: Protocol }[] {
  const match = /^(\d{1,5})(?:\/(tcp|udp|sctp)?)?$/i.exec(text);
  const number = Number(match?.[1]);
  const protocol = (match?.[2] ?? 'tcp').toUpperCase() as Protocol;
  // What is no port, the plane refuses with its own words.
  return match && number >= 1 && number <= 65535 ? [{ number, protocol }] : [];
}

function healthcheck(config: ImageConfig['config']): ImageSettings['healthcheck'] {
  const check = config?.Healthcheck;
  const [how, ...rest] = check?.Test ?? [];
  const shell = config?.Shell?.length ? config.Shell : ['/bin/sh', '-c'];
  const command = how === 'CMD' ? rest : how === 'CMD-SHELL' ? [...shell, ...rest.slice(0, 1)] : [];
  if (!check || !command.length) {
    return undefined;
  }
  const seconds = (nanoseconds: number | null | undefined): number =>
    nanoseconds && nanoseconds > 0 ? Math.ceil(nanoseconds / 1e9) : 30;
  return {
    command,
    intervalSeconds: seconds(check.Interval),
    timeoutSeconds: seconds(check.Timeout),
    retries: check.Retries && check.Retries > 0 ? check.Retries : 3,
  };
}
