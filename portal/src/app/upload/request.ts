import { ImageUpload, ImageUploadSpec, Metadata, UploadSource, Workload } from '../api/types';
import { ANNOTATION, API_VERSION } from '../objects/kinds';

/** What a person asks for, besides the bytes. */
export interface UploadRequest {
  ns: string;
  application: string;
  version: string;
  environments: string[];
  config: Record<string, string>;
  /** That what looks like a secret in the configuration is none. */
  noSecrets: boolean;
  /** How it is to run, where that is not as in the image. */
  workload: Workload;
  owner?: string;
}

/** The object to write: what is there already, with what is asked for now. */
export function imageUpload(
  request: UploadRequest,
  source: UploadSource,
  keyHash: string | undefined,
  existing?: ImageUpload,
): ImageUpload {
  const annotations: Record<string, string> = { ...existing?.metadata.annotations };
  if (keyHash) {
    annotations[ANNOTATION.uploadKey] = keyHash;
  } else {
    delete annotations[ANNOTATION.uploadKey];
  }
  if (request.noSecrets) {
    annotations[ANNOTATION.secretsInConfig] = 'allow';
  }
  const others = Object.entries(existing?.spec.workload ?? {}).filter(([field]) => !ASKED.includes(field));
  const workload = { ...Object.fromEntries(others), ...request.workload };
  const spec: ImageUploadSpec = {
    ...existing?.spec,
    application: request.application,
    version: request.version,
    images: [{ name: 'main', source }],
    environments: request.environments,
  };
  const put = (field: 'config' | 'workload', value: Record<string, unknown>): void => {
    if (Object.keys(value).length) {
      Object.assign(spec, { [field]: value });
    } else {
      delete spec[field];
    }
  };
  put('config', request.config);
  put('workload', workload);
  if (request.owner) {
    spec.owner = request.owner;
  }
  const metadata: Metadata = { ...existing?.metadata, name: request.application, namespace: request.ns };
  if (Object.keys(annotations).length) {
    metadata.annotations = annotations;
  } else {
    delete metadata.annotations;
  }
  return { apiVersion: API_VERSION, kind: 'ImageUpload', metadata, spec };
}

/** Fields of a workload that are asked for each time: left out, they are as in the image again. */
const ASKED = ['replicas', 'ports', 'command', 'args', 'secretRefs', 'resources', 'probes'];

export const APPLICATION = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/;
export const ENVIRONMENT = /^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$/;
export const VERSION =
  /^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9a-z]([0-9a-z-]*[0-9a-z])?(\.[0-9a-z]([0-9a-z-]*[0-9a-z])?)*)?$/;

const IN_TEXT = /(?:^|[^0-9.])v?(\d+\.\d+\.\d+(?:-[0-9a-z.-]*[0-9a-z])?)/;

/** A version to begin with: what the archive is called if that is newer than what is stored, else the one that follows. */
export function suggestVersion(stored: string[], ...names: (string | undefined)[]): string {
  for (const name of names) {
    const found = IN_TEXT.exec((name ?? '').replace(/\.(tar|tgz|gz|zst|oci)(\.\w+)?$/, ''))?.[1];
    if (found && VERSION.test(found) && !stored.includes(found)) {
      return found;
    }
  }
  const newest = stored.map((version) => /^(\d+)\.(\d+)\.(\d+)/.exec(version)).find(Boolean);
  return newest ? `${newest[1]}.${Number(newest[2]) + 1}.0` : '1.0.0';
}

/** An application's name to begin with, from what the image or its file is called. */
export function suggestApplication(...names: (string | undefined)[]): string {
  for (const name of names) {
    const last = (name ?? '').split('@')[0]?.split('/').at(-1) ?? '';
    const found = last
      .toLowerCase()
      .replace(/:.*$/, '')
      .replace(/\.(tar|tgz|gz|zst|oci).*$/, '')
      .replace(/[-_.]?v?\d+\.\d+.*$/, '')
      .replace(/[^a-z0-9-]+/g, '-')
      .replace(/^[^a-z]+|-+$/g, '');
    if (APPLICATION.test(found)) {
      return found;
    }
  }
  return '';
}
