import { Injectable, signal } from '@angular/core';

export type Scheme = 'auto' | 'light' | 'dark';

const KEY = 'orbit.theme';
const NEXT: Record<Scheme, Scheme> = { auto: 'light', light: 'dark', dark: 'auto' };

/** Light, dark, or as the system has it. */
@Injectable({ providedIn: 'root' })
export class Theme {
  readonly scheme = signal<Scheme>(stored());

  next(): void {
    this.scheme.set(NEXT[this.scheme()]);
    localStorage.setItem(KEY, this.scheme());
    this.apply();
  }

  apply(): void {
    const scheme = this.scheme();
    document.documentElement.style.colorScheme = scheme === 'auto' ? 'light dark' : scheme;
  }
}

function stored(): Scheme {
  const value = localStorage.getItem(KEY);
  return value === 'light' || value === 'dark' ? value : 'auto';
}
