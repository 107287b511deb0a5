/** What the plane says, by the names that the portal calls it: all of it out of the OpenAPI document. */
import type { components } from './schema';

type Schemas = components['schemas'];

export interface Page<T> {
  items: T[];
  continue?: string;
}

export type Session = Schemas['SignedIn'];
export type SignInMethod = Schemas['Way'];
export type MatrixRow = Schemas['Application'];
export type MatrixEnvironment = Schemas['ApplicationEnvironment'];
export type MatrixCluster = Schemas['Standing'];
export type ClusterRef = Schemas['ClusterRef'];
export type Release = Schemas['Release'];
export type ReleaseImage = Schemas['Image'];
export type Environment = Schemas['Environment'];
export type Deployment = Schemas['Deployment'];
export type Lifecycle = Schemas['Lifecycle'];
export type LifecycleEvent = Schemas['LifecycleEvent'];
export type AuditEvent = Schemas['AuditEvent'];
export type Difference = Schemas['Difference'];
/** A version, or an environment and what runs there. */
export type Side = Schemas['Compared'] & { environment?: string; version?: string };
export type Setting = Schemas['Setting'];
export type Layer = Schemas['Layer'];
export type ObjectChange = Schemas['Change'];
export type ImageChange = Schemas['ImageChange'];

export type Plural = Schemas['Plural'];
export type Metadata = Schemas['ObjectMeta'];
export type Condition = Schemas['Condition'];

/** A Kubernetes object: what all kinds have in common, and a spec and status of its own. */
export interface KubernetesObject<S = Record<string, unknown>, T = Record<string, unknown>> {
  apiVersion: string;
  kind: string;
  metadata: Metadata;
  spec: S;
  status?: T & { conditions?: Condition[] };
}

export interface ObjectList<O> {
  items: O[];
  resourceVersion: string;
  continue?: string;
}

/** As people write it: what has a default may be left out, at any depth. */
type Written<T> = T extends readonly (infer Item)[]
  ? Written<Item>[]
  : T extends object
    ? { [K in keyof T]?: Written<T[K]> }
    : T;
/** A spec as people write it, in which these fields are always there. */
type Spec<S, Always extends keyof S> = Pick<S, Always> & Written<Omit<S, Always>>;

export type ImageUploadSpec = Spec<Schemas['ImageUploadSpec'], 'application' | 'version' | 'images'>;
export type UploadSource = Schemas['ImageSource'];
export type ImageUpload = KubernetesObject<ImageUploadSpec, Partial<Schemas['ImageUploadStatus']>>;
export type VersionPolicy = Written<Schemas['VersionPolicy']>;
export type EnvironmentOverlaySpec = Spec<
  Omit<Schemas['EnvironmentOverlaySpec'], 'values'>,
  'application' | 'environment'
> & {
  values?: Record<string, unknown>;
};
export type EnvironmentOverlay = KubernetesObject<EnvironmentOverlaySpec, Partial<Schemas['EnvironmentOverlayStatus']>>;
export type HelmChart = KubernetesObject<
  Spec<Schemas['HelmChartSpec'], 'application' | 'version'>,
  Partial<Schemas['HelmChartStatus']>
>;
export type Delivery = KubernetesObject<
  Spec<Schemas['DeliverySpec'], 'application' | 'artifact' | 'cluster' | 'environment'>,
  Partial<Schemas['DeliveryStatus']>
>;
export type EphemeralCluster = KubernetesObject<
  Spec<Schemas['EphemeralClusterSpec'], 'connection'>,
  Partial<Schemas['EphemeralClusterStatus']>
>;

export type ChartFiles = Schemas['ChartFiles'];
export type ChartFile = Schemas['ChartFile'];
export type Manifests = Schemas['Manifests'];
export type ManifestObject = Schemas['ManifestObject'];

export type Workload = Written<Schemas['Workload']>;
export type Probes = Written<Schemas['Probes']>;
export type Probe = Written<Schemas['Probe']>;
export type Quantities = Written<Schemas['Quantities']>;

export type Report = Schemas['Report'];
export type ReportPeriod = Schemas['ReportPeriod'];
export type Period = Schemas['Period'];
export type Figures = Schemas['Figures'];
export type LeadTime = Schemas['LeadTime'];
