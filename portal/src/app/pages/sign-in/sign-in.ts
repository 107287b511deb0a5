import { ChangeDetectionStrategy, Component, computed, inject, input, signal } from '@angular/core';
import { FormsModule } from '@angular/forms';
import { MatButtonModule } from '@angular/material/button';
import { MatFormFieldModule } from '@angular/material/form-field';
import { MatInputModule } from '@angular/material/input';
import { Router } from '@angular/router';
import { Plane } from '../../api/plane';
import { Problem } from '../../api/problem';
import { SignInMethod } from '../../api/types';
import { Code } from '../../parts/code';
import { Notice } from '../../parts/notice';
import { Skeleton } from '../../parts/skeleton';
import { returnPath } from '../../session/guard';
import { SessionStore } from '../../session/session-store';

const WHY: Record<string, string> = {
  refused: 'The identity provider has refused, or you have thought better of it.',
  expired: 'That took too long. Try again.',
  failed: 'The identity provider did not answer as it should. Try again; if it stays so, tell an administrator.',
  name: 'The identity provider gives you a name that the plane cannot act as. An administrator has to look at it.',
};

/** Signing in, by whichever ways the plane has. */
@Component({
  selector: 'orbit-sign-in',
  imports: [FormsModule, MatButtonModule, MatFormFieldModule, MatInputModule, Code, Notice, Skeleton],
  templateUrl: './sign-in.html',
  styleUrl: './sign-in.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class SignIn {
  /** The page to come back to. */
  readonly return = input<string>();

  /** Why signing in with a provider did not work, as the plane says it. */
  readonly problem = input<string>();

  private readonly plane = inject(Plane);
  private readonly router = inject(Router);
  protected readonly session = inject(SessionStore);

  protected readonly methods = signal<SignInMethod[] | undefined>(undefined);
  protected readonly unreachable = signal<Problem | undefined>(undefined);
  protected readonly refused = signal<string>('');
  protected readonly busy = signal(false);
  protected readonly token = signal('');
  protected readonly takesToken = computed(() => this.methods()?.some((each) => each.type === 'token') ?? false);
  protected readonly providers = computed(() => this.methods()?.filter((each) => each.type === 'oidc') ?? []);
  protected readonly why = computed(() => {
    const problem = this.problem();
    return problem ? (WHY[problem] ?? 'Signing in did not work. Try again.') : '';
  });
  protected readonly command = 'kubectl create token YOUR-SERVICE-ACCOUNT --namespace YOUR-NAMESPACE --duration 8h';

  constructor() {
    void this.load();
  }

  protected async load(): Promise<void> {
    this.unreachable.set(undefined);
    try {
      this.methods.set(await this.plane.signInMethods());
    } catch (error) {
      this.unreachable.set(Problem.of(error));
    }
  }

  protected providerUrl(url: string): string {
    return `${url}?${new URLSearchParams({ return: returnPath(this.return()) }).toString()}`;
  }

  protected async signIn(): Promise<void> {
    const token = this.token().trim();
    if (!token) {
      this.refused.set('Paste a token first.');
      return;
    }
    this.busy.set(true);
    this.refused.set('');
    try {
      await this.session.signIn(token);
      this.token.set('');
      await this.router.navigateByUrl(returnPath(this.return()));
    } catch (error) {
      const problem = Problem.of(error);
      this.refused.set(
        problem.status === 401
          ? 'The API server does not know this token. It may have ended, or be of another cluster: make a new one.'
          : problem.detail,
      );
    } finally {
      this.busy.set(false);
    }
  }
}
