import { ChangeDetectionStrategy, Component, inject, signal } from '@angular/core';
import { Router, RouterLink } from '@angular/router';
import { Problem } from '../api/problem';
import { Notice } from '../parts/notice';
import { Skeleton } from '../parts/skeleton';
import { Namespaces } from './namespaces';

/** Goes to the namespace that is meant, or asks which one. */
@Component({
  selector: 'orbit-home',
  imports: [RouterLink, Notice, Skeleton],
  template: `
    <main class="narrow">
      <h1>Which namespace?</h1>
      @if (problem(); as problem) {
        <orbit-notice [problem]="problem" (retry)="load()" />
      } @else if (names(); as names) {
        @if (names.length) {
          <ul class="choices">
            @for (name of names; track name) {
              <li>
                <a class="choice" [routerLink]="['/ns', name]">{{ name }}</a>
              </li>
            }
          </ul>
        } @else {
          <orbit-notice
            heading="There is no namespace for you yet"
            text="You see the namespaces in which you may list imageuploads. Ask an administrator to bind you the ClusterRole orbit-developer in one."
          >
            <code>kubectl create rolebinding NAME --clusterrole orbit-developer --user YOU --namespace NS</code>
          </orbit-notice>
        }
      } @else {
        <orbit-skeleton [lines]="4" />
      }
    </main>
  `,
  styles: `
    .narrow {
      max-width: 32rem;
      margin: 12vh auto 0;
      padding: 0 1rem;
    }
    .choices {
      list-style: none;
      padding: 0;
      display: grid;
      gap: 0.5rem;
    }
    .choice {
      display: block;
      padding: 0.75rem 1rem;
      border: 1px solid var(--line);
      border-radius: var(--radius);
      background: var(--panel);
      font-weight: 550;
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Home {
  private readonly namespaces = inject(Namespaces);
  private readonly router = inject(Router);
  protected readonly names = signal<string[] | undefined>(undefined);
  protected readonly problem = signal<Problem | undefined>(undefined);

  constructor() {
    void this.load();
  }

  protected async load(): Promise<void> {
    this.problem.set(undefined);
    try {
      const names = await this.namespaces.load();
      const preferred = this.namespaces.preferred(names);
      if (preferred) {
        await this.router.navigate(['/ns', preferred], { replaceUrl: true });
      } else {
        this.names.set(names);
      }
    } catch (error) {
      this.problem.set(Problem.of(error));
    }
  }
}
