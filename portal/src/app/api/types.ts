/** What the plane says, in the shapes of its OpenAPI document. */

export interface Page<T> {
  items: T[];
  continue?: string;
}

export interface Session {
  user: { name: string; groups: string[] };
  csrfToken: string;
  expiresAt: string;
}

export type SignInMethod = { type: 'token' } | { type: 'oidc'; name: string; url: string };

export interface MatrixCluster {
  cluster: ClusterRef | string;
  state: string;
  version?: string;
  since: string;
}

export interface MatrixEnvironment {
  environment: string;
  version?: string;
  artifact?: string;
  clusters: MatrixCluster[];
}

export interface MatrixRow {
  application: string;
  environments: MatrixEnvironment[];
  owner?: string;
}

export interface ClusterRef {
  namespace: string;
  name: string;
  uid: string;
}

export interface ReleaseImage {
  name: string;
  digest: string;
  size: number;
  platforms: string;
}

export interface Release {
  version: string;
  digest: string;
  storedAt: string;
  storedBy: string;
  owner?: string;
  metadata?: Record<string, string>;
  revision?: string;
  environments: string[];
  images: ReleaseImage[];
  chart?: string;
  unrestricted?: string;
  purgedAt?: string;
}

export interface Environment {
  application: string;
  environment: string;
  version?: string;
  chart?: string;
  reason?: string;
  selectedAt?: string;
  selectedBy?: string;
  rendered?: { version?: string; artifact: string; inputsDigest: string; objects: number; at: string };
  owner?: string;
}

export interface Deployment {
  application: string;
  environment: string;
  cluster: ClusterRef;
  attempt: number;
  version?: string;
  artifact: string;
  images: string[];
  state: string;
  since: string;
  detail?: string;
  current: boolean;
  running: boolean;
}

export interface LifecycleEvent {
  seq: number;
  id: string;
  hash: string;
  prevHash?: string;
  time: string;
  actor: string;
  transition: string;
  version?: string;
  environment?: string;
  digest?: string;
  detail?: string;
}

export interface Lifecycle {
  namespace: string;
  application: string;
  releases: Release[];
  environments: Environment[];
  deployments: Deployment[];
  events: Page<LifecycleEvent>;
}

export interface AuditEvent {
  seq: number;
  at: string;
  actor: string;
  type: string;
  application: string;
  version?: string;
  environment?: string;
  digest?: string;
  detail?: string;
  specDigest?: string;
  id: string;
  hash: string;
  prevHash?: string;
}

export interface Setting {
  name: string;
  a?: string;
  b?: string;
}

export interface ObjectChange {
  name: string;
  kind: 'added' | 'removed' | 'changed';
  diff: string;
}

export interface Layer {
  diffId: string;
  size: number;
}

export interface ImageChange {
  name: string;
  a?: string;
  b?: string;
  settings: Setting[];
  layers?: { shared: Layer[]; removed: Layer[]; added: Layer[] };
}

export interface Side {
  version?: string;
  environment?: string;
  rendered?: string;
}

export interface Difference {
  namespace: string;
  application: string;
  a: Side;
  b: Side;
  same: boolean;
  values: { changes: Setting[]; notCompared?: string };
  objects: { changes: ObjectChange[]; notCompared?: string };
  images: ImageChange[];
}

export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
  observedGeneration?: number;
  lastTransitionTime: string;
}

export interface Metadata {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

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

export interface UploadSource {
  reference?: { image: string; pullSecretRef?: { name: string } };
  archive?: { sha256: string; size: number };
}

export interface ImageUploadSpec {
  application: string;
  version: string;
  images: { name: string; source: UploadSource }[];
  environments?: string[];
  config?: Record<string, string>;
  workload?: {
    replicas?: number;
    ports?: { name: string; containerPort: number; protocol?: string }[];
    [field: string]: unknown;
  };
  owner?: string;
  metadata?: Record<string, string>;
  suspend?: boolean;
  [field: string]: unknown;
}

export type ImageUploadStatus = {
  release?: { version: string; digest: string };
  chartRef?: { name: string };
  upload?: { url: string; sha256: string };
  images?: { name: string; digest: string; size: number; platforms: string[] }[];
};

export type ImageUpload = KubernetesObject<ImageUploadSpec, ImageUploadStatus>;

export interface VersionPolicy {
  range?: string;
  prereleases?: 'Exclude' | 'Include';
  pin?: string;
}

export interface EnvironmentOverlaySpec {
  application: string;
  environment: string;
  version?: VersionPolicy;
  targetNamespace?: string;
  values?: Record<string, unknown>;
  kustomize?: Record<string, unknown>;
  suspend?: boolean;
  [field: string]: unknown;
}

export type EnvironmentOverlayStatus = {
  selected?: { version: string; chartDigest: string; reason: string };
  artifact?: { digest: string; objects: number; url?: string };
  clusters?: { desired: number; applied: number; healthy: number; unreachable: number };
};

export type EnvironmentOverlay = KubernetesObject<EnvironmentOverlaySpec, EnvironmentOverlayStatus>;

export type HelmChart = KubernetesObject<
  { application: string; version: string },
  { artifact?: { digest: string; size: number; url?: string } }
>;

export type Delivery = KubernetesObject<
  { application: string; environment: string; cluster: ClusterRef; version?: string; artifact: string },
  { applied?: { artifact: string; version?: string; at: string } }
>;

export type EphemeralCluster = KubernetesObject<
  { expiresAt?: string; connection: Record<string, unknown>; [field: string]: unknown },
  {
    clusterUID?: string;
    clusterUid?: string;
    kubernetesVersion?: string;
    unreachableSince?: string;
    deliveries?: { desired: number; applied: number; healthy: number };
  }
>;

// Reports.

export type Period = 'day' | 'week';

/** From the time a version was stored until it was first healthy in an environment. */
export interface LeadTime {
  arrivals: number;
  medianSeconds: number;
  p90Seconds: number;
}

/** The measures of some days; what there was nothing of is left out. */
export interface Figures {
  deployments: number;
  attempts: number;
  failures: number;
  failureRate?: number;
  leadTime?: LeadTime;
  incidents: number;
  recovered: number;
  secondsToRecover?: number;
}

export interface ReportPeriod {
  from: string;
  to: string;
  figures: Figures;
}

export interface Report {
  from: string;
  to: string;
  total: Figures;
  before: Figures;
  periods: ReportPeriod[];
}
