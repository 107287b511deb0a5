import { Injectable, signal } from '@angular/core';
import createClient from 'openapi-fetch';
import { Problem } from './problem';
import type { paths } from './schema';

export interface Answer<T> {
  data: T;
  etag?: string;
}

/**
 * Requests to the plane's own API, as its OpenAPI document has them: JSON both ways, problems as exceptions, and what
 * CSRF protection asks for.
 */
@Injectable({ providedIn: 'root' })
export class Http {
  /** What every request that changes something has to bring along. */
  readonly csrfToken = signal('');
  /** Counts the answers that said that nobody is signed in. */
  readonly unauthorised = signal(0);

  readonly api = createClient<paths>({
    baseUrl: location.origin,
    fetch: (request) => this.send(request),
    credentials: 'same-origin',
    headers: { Accept: 'application/json' },
    querySerializer: (query) => queryString(query).slice(1),
  });

  /** The header of requests that change something. */
  signed(): { 'X-Orbit-CSRF': string } {
    return { 'X-Orbit-CSRF': this.csrfToken() };
  }

  private async send(request: Request): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(request);
    } catch (error) {
      if (request.signal.aborted) {
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
    return response;
  }
}

/** What was answered. Refusals have become exceptions before. */
export function answered<T>({ data, response }: { data?: T; response: Response }): Answer<T> {
  return { data: data as T, etag: response.headers.get('ETag') ?? undefined };
}

export function queryString(query: Record<string, unknown> = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '' && value !== false);
  return given.length ? '?' + new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString() : '';
}
