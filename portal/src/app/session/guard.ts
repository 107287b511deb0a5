import { inject } from '@angular/core';
import { CanActivateFn, RedirectCommand, Router } from '@angular/router';
import { SessionStore } from './session-store';

/** Lets in who is signed in, and sends everybody else to sign in and back here. */
export const signedIn: CanActivateFn = async (_, state) => {
  const [session, router] = [inject(SessionStore), inject(Router)];
  const toSignIn = (): RedirectCommand =>
    new RedirectCommand(router.createUrlTree(['/sign-in'], { queryParams: { return: state.url } }));
  try {
    return (await session.find()) ? true : toSignIn();
  } catch {
    // The plane does not answer: the sign-in page says so, and tries again.
    return toSignIn();
  }
};

/** Where to go after signing in: a path of the portal, whatever somebody has put into the address. */
export function returnPath(given: string | undefined): string {
  if (
    !given ||
    !given.startsWith('/') ||
    given.startsWith('//') ||
    given.includes('\\') ||
    given.startsWith('/sign-in')
  ) {
    return '/';
  }
  return given;
}
