import { parse, stringify } from 'yaml';
import { KubernetesObject } from '../api/types';

/** An object or a part of one as YAML, as kubectl prints it. */
export function toYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, sortMapEntries: false });
}

/** Reads YAML that has to be a mapping; empty text is none. */
export function mappingFrom(text: string): Record<string, unknown> | undefined {
  if (!text.trim()) {
    return undefined;
  }
  const value: unknown = parse(text);
  if (value === null) {
    return undefined;
  }
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new Error('expected names with values, as in "replicas: 2"');
  }
  return value as Record<string, unknown>;
}

/** What a person writes of an object: without what the API server and the plane put in. */
export function asWritten<O extends KubernetesObject>(object: O): Partial<KubernetesObject> {
  const { name, namespace, labels, annotations } = object.metadata;
  const own = Object.entries(annotations ?? {}).filter(
    ([key]) => !key.startsWith('orbit.k8or.io/') && !key.startsWith('kubectl.kubernetes.io/'),
  );
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: {
      name,
      namespace,
      ...(labels && Object.keys(labels).length ? { labels } : {}),
      ...(own.length ? { annotations: Object.fromEntries(own) } : {}),
    },
    spec: object.spec,
  };
}
