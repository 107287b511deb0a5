import { inject, Injectable, signal } from '@angular/core';
import { Plane } from '../api/plane';

const KEY = 'orbit.namespace';

/** The namespaces that one may work in, and the one that was looked at last. */
@Injectable({ providedIn: 'root' })
export class Namespaces {
  private readonly plane = inject(Plane);
  readonly names = signal<string[] | undefined>(undefined);

  async load(): Promise<string[]> {
    const names = await this.plane.namespaces();
    this.names.set(names);
    return names;
  }

  remember(namespace: string): void {
    localStorage.setItem(KEY, namespace);
  }

  /** The one to begin with, if there is a clear one. */
  preferred(names: string[]): string | undefined {
    const last = localStorage.getItem(KEY);
    return names.find((name) => name === last) ?? (names.length === 1 ? names[0] : undefined);
  }
}
