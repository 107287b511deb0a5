import type { Plural } from '../api/types';

/** The kinds of objects that the portal shows, by the name that paths have for them. */
export const KINDS = {
  imageuploads: 'ImageUpload',
  helmcharts: 'HelmChart',
  environmentoverlays: 'EnvironmentOverlay',
  deliveries: 'Delivery',
  ephemeralclusters: 'EphemeralCluster',
} as const satisfies Record<Plural, string>;

export type Kind = (typeof KINDS)[Plural];

export const API_VERSION = 'orbit.k8or.io/v1alpha1';

export const ANNOTATION = {
  changedBy: 'orbit.k8or.io/changed-by',
  uploadKey: 'orbit.k8or.io/upload-key-sha256',
  requestedAt: 'orbit.k8or.io/requestedAt',
  secretsInConfig: 'orbit.k8or.io/secrets-in-config',
} as const;

export function isPlural(text: string): text is Plural {
  return text in KINDS;
}
