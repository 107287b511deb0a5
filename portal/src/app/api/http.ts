import { Injectable, signal } from '@angular/core';
import { Problem } from './problem';

export interface Request {
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  headers?: Record<string, string>;
  abort?: AbortSignal;
}

export interface Answer<T> {
  data: T;
  etag?: string;
}

/** Requests to the plane's own API: JSON both ways, problems as exceptions, and what CSRF protection asks for. */
@Injectable({ providedIn: 'root' })
export class Http {
  /** What every request that changes something has to bring along. */
  readonly csrfToken = signal('');
  /** Counts the answers that said that nobody is signed in. */
  readonly unauthorised = signal(0);

  async send<T>(method: string, path: string, request: Request = {}): Promise<Answer<T>> {
    const headers: Record<string, string> = { Accept: 'application/json', ...request.headers };
    if (request.body !== undefined) {
      headers['Content-Type'] = 'application/json';
    }
    if (method !== 'GET' && this.csrfToken()) {
      headers['X-Orbit-CSRF'] = this.csrfToken();
    }
    let response: Response;
    try {
      response = await fetch(path + queryString(request.query), {
        method,
        headers,
        body: request.body === undefined ? undefined : JSON.stringify(request.body),
        signal: request.abort,
        credentials: 'same-origin',
      });
    } catch (error) {
      if (request.abort?.aborted) {
        throw error;
      }
      throw Problem.unreachable(error);
    }
    if (!response.ok) {
      if (response.status === 401) {
        this.unauthorised.update((count) => count + 1);
      }
      throw await Problem.from(response);
    }
    const text = await response.text();
    return { data: (text ? JSON.parse(text) : undefined) as T, etag: response.headers.get('ETag') ?? undefined };
  }
}

export function queryString(query: Request['query'] = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '' && value !== false);
  return given.length ? '?' + new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString() : '';
}
