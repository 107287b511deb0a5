import { inject } from '@angular/core';
import { MatSnackBar } from '@angular/material/snack-bar';
import { NavigationError } from '@angular/router';

/**
 * A page whose code cannot be had, because the plane does not answer or is another version by now, is not silently left
 * out: the browser can be told to load it anew.
 */
export function explainNavigation({ url }: NavigationError): void {
  inject(MatSnackBar)
    .open('This page cannot be loaded: the plane does not answer, or has been upgraded.', 'Load it again')
    .onAction()
    .subscribe(() => location.assign(url));
}

/** A page with something on it that would be lost. */
export interface Leaving {
  canLeave(): boolean;
}

/** Asks before what somebody has written is lost. */
export function mayLeave(page: Partial<Leaving> | null): boolean {
  return page?.canLeave?.() ?? true;
}
