import { inject, Injectable } from '@angular/core';
import { Answer, answered, Http, queryString } from './http';
import {
  AuditEvent,
  ChartFiles,
  Deployment,
  Difference,
  KubernetesObject,
  Lifecycle,
  Manifests,
  MatrixRow,
  ObjectList,
  Page,
  Plural,
  Report,
  Period,
  Session,
  SignInMethod,
} from './types';

export interface AuditFilter {
  application?: string;
  actor?: string;
  type?: string;
  requests?: boolean;
}

/** What to report on: days are in UTC, the last one included. */
export interface ReportQuestion {
  application?: string;
  environment?: string;
  from: string;
  to: string;
  period: Period;
}

/** Every question that the portal asks the plane. */
@Injectable({ providedIn: 'root' })
export class Plane {
  private readonly http = inject(Http);
  private readonly api = this.http.api;

  async signInMethods(): Promise<SignInMethod[]> {
    return answered(await this.api.GET('/api/v1/sign-in')).data.methods;
  }

  async session(): Promise<Session> {
    return answered(await this.api.GET('/api/v1/session')).data;
  }

  async signIn(token: string): Promise<Session> {
    return answered(await this.api.POST('/api/v1/session', { body: { token } })).data;
  }

  async signOut(): Promise<void> {
    await this.api.DELETE('/api/v1/session', { params: { header: this.http.signed() } });
  }

  async namespaces(): Promise<string[]> {
    return answered(await this.api.GET('/api/v1/namespaces')).data.items.map(({ name }) => name);
  }

  async applications(
    namespace: string,
    query: { search?: string; environment?: string; limit?: number; continue?: string },
    signal?: AbortSignal,
  ): Promise<Page<MatrixRow>> {
    const path = { namespace };
    return answered(
      await this.api.GET('/api/v1/namespaces/{namespace}/applications', { params: { path, query }, signal }),
    ).data;
  }

  async lifecycle(
    namespace: string,
    application: string,
    query: { version?: string; limit?: number; continue?: string } = {},
    signal?: AbortSignal,
  ): Promise<Lifecycle> {
    const params = { path: { namespace, application }, query };
    return answered(
      await this.api.GET('/api/v1/namespaces/{namespace}/applications/{application}/lifecycle', { params, signal }),
    ).data;
  }

  async difference(
    namespace: string,
    application: string,
    from: string,
    to: string,
    signal?: AbortSignal,
  ): Promise<Difference> {
    const params = { path: { namespace, application }, query: { from, to } };
    return answered(
      await this.api.GET('/api/v1/namespaces/{namespace}/applications/{application}/diff', { params, signal }),
    ).data;
  }

  /** All of them: a cluster whose page is missing would seem empty. */
  async clusterDeployments(namespace: string, signal?: AbortSignal): Promise<Deployment[]> {
    const items: Deployment[] = [];
    let next: string | undefined;
    do {
      const params = { path: { namespace }, query: { limit: 200, continue: next } };
      const { data } = answered(await this.api.GET('/api/v1/namespaces/{namespace}/clusters', { params, signal }));
      items.push(...data.items);
      next = data.continue;
    } while (next);
    return items;
  }

  async audit(
    namespace: string,
    query: AuditFilter & { limit?: number; continue?: string },
    signal?: AbortSignal,
  ): Promise<Page<AuditEvent>> {
    const params = { path: { namespace }, query };
    const { data } = answered(await this.api.GET('/api/v1/namespaces/{namespace}/audit', { params, signal }));
    // It is a file only where a format asks for one.
    return data as Page<AuditEvent>;
  }

  /** Requests that belong to no namespace: signing in, and what nobody who is known has asked. */
  async auditOfNone(
    query: { actor?: string; limit?: number; continue?: string },
    signal?: AbortSignal,
  ): Promise<Page<AuditEvent>> {
    const { data } = answered(await this.api.GET('/api/v1/audit', { params: { query }, signal }));
    return data as Page<AuditEvent>;
  }

  auditOfNoneExport(filter: { actor?: string }, format: 'jsonl' | 'csv'): string {
    return `/api/v1/audit${queryString({ ...filter, format })}`;
  }

  /** Where all events that match are to be had as a file. */
  auditExport(ns: string, filter: AuditFilter, format: 'jsonl' | 'csv'): string {
    return `${of(ns)}/audit${queryString({ ...filter, format })}`;
  }

  async report(namespace: string, query: ReportQuestion, signal?: AbortSignal): Promise<Report> {
    const params = { path: { namespace }, query };
    return answered(await this.api.GET('/api/v1/namespaces/{namespace}/reports', { params, signal })).data;
  }

  /** Where a report is to be had. */
  reportUrl(ns: string, question: ReportQuestion): string {
    return `${of(ns)}/reports${queryString({ ...question })}`;
  }

  async chart(namespace: string, application: string, version: string, signal?: AbortSignal): Promise<ChartFiles> {
    const params = { path: { namespace, application, version } };
    return answered(
      await this.api.GET('/api/v1/namespaces/{namespace}/charts/{application}/{version}', { params, signal }),
    ).data;
  }

  /** Where a chart is to be had as `helm pull` would write it. */
  chartArchive(ns: string, app: string, version: string): string {
    return `${chartOf(ns, app, version)}/archive`;
  }

  async manifests(
    namespace: string,
    application: string,
    environment: string,
    signal?: AbortSignal,
  ): Promise<Manifests> {
    const params = { path: { namespace, application, environment } };
    const { data } = answered(
      await this.api.GET('/api/v1/namespaces/{namespace}/overlays/{application}/{environment}/manifests', {
        params,
        signal,
      }),
    );
    // It is YAML only where a format asks for that.
    return data as Manifests;
  }

  /** Where what is rendered is to be had as a file. */
  manifestsFile(ns: string, app: string, environment: string): string {
    return `${manifestsOf(ns, app, environment)}?format=yaml`;
  }

  async objects<O extends KubernetesObject>(
    namespace: string,
    plural: Plural,
    query: { labelSelector?: string; limit?: number; continue?: string } = {},
    signal?: AbortSignal,
  ): Promise<ObjectList<O>> {
    const params = { path: { namespace, plural }, query };
    const { data } = answered(
      await this.api.GET('/api/v1/namespaces/{namespace}/objects/{plural}', { params, signal }),
    );
    return data as ObjectList<O>;
  }

  /** All of a kind, page after page. */
  async allObjects<O extends KubernetesObject>(ns: string, plural: Plural, abort?: AbortSignal): Promise<O[]> {
    const items: O[] = [];
    let next: string | undefined;
    do {
      const page: ObjectList<O> = await this.objects<O>(ns, plural, { limit: 200, continue: next }, abort);
      items.push(...page.items);
      next = page.continue;
    } while (next);
    return items;
  }

  async object<O extends KubernetesObject>(
    namespace: string,
    plural: Plural,
    name: string,
    signal?: AbortSignal,
  ): Promise<Answer<O>> {
    const params = { path: { namespace, plural, name } };
    return answered(
      await this.api.GET('/api/v1/namespaces/{namespace}/objects/{plural}/{name}', { params, signal }),
    ) as Answer<O>;
  }

  async create<O extends KubernetesObject>(namespace: string, plural: Plural, object: O): Promise<Answer<O>> {
    const params = { path: { namespace, plural }, header: this.http.signed() };
    return answered(
      await this.api.POST('/api/v1/namespaces/{namespace}/objects/{plural}', { params, body: object }),
    ) as Answer<O>;
  }

  /** Replaces an object, if it is still the one that `etag` names. */
  async replace<O extends KubernetesObject>(
    namespace: string,
    plural: Plural,
    object: O,
    etag: string,
    dryRun = false,
  ): Promise<Answer<O>> {
    const path = { namespace, plural, name: object.metadata.name };
    const header = { ...this.http.signed(), 'If-Match': etag };
    const params = { path, query: { dryRun }, header };
    return answered(
      await this.api.PUT('/api/v1/namespaces/{namespace}/objects/{plural}/{name}', { params, body: object }),
    ) as Answer<O>;
  }

  /** Where changes are told as they come, from after a message on. */
  watchUrl(ns: string, since = ''): string {
    return `${of(ns)}/watch${queryString({ since })}`;
  }
}

function of(ns: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(ns)}`;
}

function chartOf(ns: string, app: string, version: string): string {
  return `${of(ns)}/charts/${encodeURIComponent(app)}/${encodeURIComponent(version)}`;
}

function manifestsOf(ns: string, app: string, environment: string): string {
  return `${of(ns)}/overlays/${encodeURIComponent(app)}/${encodeURIComponent(environment)}/manifests`;
}
