import { effect, inject, Injectable, signal, untracked } from '@angular/core';
import { Router } from '@angular/router';
import { Http } from '../api/http';
import { Plane } from '../api/plane';
import { Problem } from '../api/problem';
import { Session } from '../api/types';

/** Who is signed in. */
@Injectable({ providedIn: 'root' })
export class SessionStore {
  private readonly plane = inject(Plane);
  private readonly http = inject(Http);
  private readonly router = inject(Router);

  private readonly current = signal<Session | undefined>(undefined);
  readonly session = this.current.asReadonly();
  /** Why nobody is signed in any more, for the sign-in page to say. */
  readonly ended = signal(false);

  constructor() {
    effect(() => {
      const refusals = this.http.unauthorised();
      // Refusals from before this session, as of a wrong token, say nothing of it.
      untracked(() => {
        if (refusals > 0 && this.current()) {
          this.ended.set(true);
          this.take(undefined);
          void this.router.navigate(['/sign-in'], { queryParams: { return: this.router.url } });
        }
      });
    });
  }

  /** The session that the browser's cookie stands for, if it stands for one. */
  async find(): Promise<Session | undefined> {
    if (!this.current()) {
      try {
        this.take(await this.plane.session());
      } catch (error) {
        if (Problem.of(error).status !== 401) {
          throw error;
        }
      }
    }
    return this.current();
  }

  async signIn(token: string): Promise<void> {
    this.take(await this.plane.signIn(token));
    this.ended.set(false);
  }

  async signOut(): Promise<void> {
    await this.plane.signOut();
    this.take(undefined);
    await this.router.navigate(['/sign-in']);
  }

  private take(session: Session | undefined): void {
    this.current.set(session);
    this.http.csrfToken.set(session?.csrfToken ?? '');
  }
}
