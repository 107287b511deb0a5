import { inject, Injectable } from '@angular/core';
import { Answer, Http, queryString } from './http';
import {
  AuditEvent,
  Deployment,
  Difference,
  KubernetesObject,
  Lifecycle,
  MatrixRow,
  ObjectList,
  Page,
  Report,
  Period,
  Session,
  SignInMethod,
} from './types';
import { Plural } from '../objects/kinds';

export interface AuditFilter {
  application?: string;
  actor?: string;
  type?: string;
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

  async signInMethods(): Promise<SignInMethod[]> {
    return (await this.get<{ methods: SignInMethod[] }>('/api/v1/sign-in')).methods;
  }

  session(): Promise<Session> {
    return this.get('/api/v1/session');
  }

  async signIn(token: string): Promise<Session> {
    return (await this.http.send<Session>('POST', '/api/v1/session', { body: { token } })).data;
  }

  async signOut(): Promise<void> {
    await this.http.send('DELETE', '/api/v1/session');
  }

  async namespaces(): Promise<string[]> {
    return (await this.get<{ items: { name: string }[] }>('/api/v1/namespaces')).items.map(({ name }) => name);
  }

  applications(
    ns: string,
    query: { search?: string; limit?: number; continue?: string },
    abort?: AbortSignal,
  ): Promise<Page<MatrixRow>> {
    return this.get(`${of(ns)}/applications`, query, abort);
  }

  lifecycle(
    ns: string,
    app: string,
    query: { version?: string; limit?: number; continue?: string } = {},
    abort?: AbortSignal,
  ): Promise<Lifecycle> {
    return this.get(`${of(ns)}/applications/${encodeURIComponent(app)}/lifecycle`, query, abort);
  }

  difference(ns: string, app: string, from: string, to: string, abort?: AbortSignal): Promise<Difference> {
    return this.get(`${of(ns)}/applications/${encodeURIComponent(app)}/diff`, { from, to }, abort);
  }

  clusterDeployments(ns: string, abort?: AbortSignal): Promise<Page<Deployment>> {
    return this.get(`${of(ns)}/clusters`, { limit: 200 }, abort);
  }

  audit(
    ns: string,
    query: AuditFilter & { limit?: number; continue?: string },
    abort?: AbortSignal,
  ): Promise<Page<AuditEvent>> {
    return this.get(`${of(ns)}/audit`, { ...query }, abort);
  }

  /** Where all events that match are to be had as a file. */
  auditExport(ns: string, filter: AuditFilter, format: 'jsonl' | 'csv'): string {
    return `${of(ns)}/audit${queryString({ ...filter, format })}`;
  }

  report(ns: string, question: ReportQuestion, abort?: AbortSignal): Promise<Report> {
    return this.get(`${of(ns)}/reports`, { ...question }, abort);
  }

  /** Where a report is to be had. */
  reportUrl(ns: string, question: ReportQuestion): string {
    return `${of(ns)}/reports${queryString({ ...question })}`;
  }

  objects<O extends KubernetesObject>(
    ns: string,
    plural: Plural,
    query: { labelSelector?: string; limit?: number; continue?: string } = {},
    abort?: AbortSignal,
  ): Promise<ObjectList<O>> {
    return this.get(`${of(ns)}/objects/${plural}`, query, abort);
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

  object<O extends KubernetesObject>(
    ns: string,
    plural: Plural,
    name: string,
    abort?: AbortSignal,
  ): Promise<Answer<O>> {
    return this.http.send('GET', `${of(ns)}/objects/${plural}/${encodeURIComponent(name)}`, { abort });
  }

  create<O extends KubernetesObject>(ns: string, plural: Plural, object: O, dryRun = false): Promise<Answer<O>> {
    return this.http.send('POST', `${of(ns)}/objects/${plural}`, { body: object, query: rehearsal(dryRun) });
  }

  /** Replaces an object, if it is still the one that `etag` names. */
  replace<O extends KubernetesObject>(
    ns: string,
    plural: Plural,
    object: O,
    etag: string,
    dryRun = false,
  ): Promise<Answer<O>> {
    return this.http.send('PUT', `${of(ns)}/objects/${plural}/${encodeURIComponent(object.metadata.name)}`, {
      body: object,
      headers: { 'If-Match': etag },
      query: rehearsal(dryRun),
    });
  }

  async remove(ns: string, plural: Plural, name: string): Promise<void> {
    await this.http.send('DELETE', `${of(ns)}/objects/${plural}/${encodeURIComponent(name)}`);
  }

  /** Where changes are told as they come, from after a message on. */
  watchUrl(ns: string, since = ''): string {
    return `${of(ns)}/watch${queryString({ since })}`;
  }

  private async get<T>(path: string, query = {}, abort?: AbortSignal): Promise<T> {
    return (await this.http.send<T>('GET', path, { query, abort })).data;
  }
}

function of(ns: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(ns)}`;
}

function rehearsal(dryRun: boolean): { dryRun?: boolean } {
  return dryRun ? { dryRun: true } : {};
}
