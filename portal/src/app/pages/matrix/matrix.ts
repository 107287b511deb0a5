import { ChangeDetectionStrategy, Component, computed, inject, input, signal } from '@angular/core';
import { MatButtonModule } from '@angular/material/button';
import { Router, RouterLink } from '@angular/router';
import { Plane } from '../../api/plane';
import { EnvironmentOverlay } from '../../api/types';
import { liveQuery } from '../../live/query';
import { toYaml, asWritten } from '../../objects/yaml';
import { Badge } from '../../parts/badge';
import { Icon } from '../../parts/icon';
import { Notice } from '../../parts/notice';
import { Skeleton } from '../../parts/skeleton';
import { ShowYaml } from '../../parts/yaml-dialog';
import { Table, tableOf } from './rows';

const PAGE = 50;
/** How long a person may pause in a word before it is searched for. */
const TYPING = 200;

/** Home: which version of each application is in which environment, and how it is in the clusters. */
@Component({
  selector: 'orbit-matrix',
  imports: [RouterLink, MatButtonModule, Badge, Icon, Notice, Skeleton],
  templateUrl: './matrix.html',
  styleUrl: './matrix.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Matrix {
  readonly ns = input.required<string>();
  readonly search = input<string>();
  /** Only applications that are in this environment, and nothing but that of them. */
  readonly environment = input<string>();
  readonly after = input<string>();

  private readonly plane = inject(Plane);
  private readonly router = inject(Router);
  private readonly yaml = inject(ShowYaml);
  private typing?: ReturnType<typeof setTimeout>;

  protected readonly page = liveQuery({
    params: () => ({ ns: this.ns(), search: this.search(), environment: this.environment(), after: this.after() }),
    load: ({ ns, search, environment, after }, abort) =>
      this.plane.applications(ns, { search, environment, continue: after, limit: PAGE }, abort),
    staleBy: () => true,
  });
  /** What was shown last stays until another page is here: a table that goes and comes back at each letter is no help. */
  private last?: { ns: string; table: Table };
  protected readonly table = computed(() => {
    const [ns, page] = [this.ns(), this.page.value()];
    if (page) {
      this.last = { ns, table: tableOf(page.items) };
    }
    return this.last?.ns === ns ? this.last.table : undefined;
  });
  protected readonly next = computed(() => this.page.value()?.continue);
  protected readonly exporting = signal(false);

  protected searchFor(text: string): void {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => {
      void this.router.navigate([], {
        queryParams: { search: text.trim() || null, after: null },
        queryParamsHandling: 'merge',
        replaceUrl: true,
      });
    }, TYPING);
  }

  protected async showYaml(): Promise<void> {
    this.exporting.set(true);
    try {
      const page = await this.plane.objects<EnvironmentOverlay>(this.ns(), 'environmentoverlays', { limit: 200 });
      const yaml = page.items.map((item) => toYaml(asWritten(item)));
      if (page.continue) {
        yaml.push('# There are more: the command gives all of them.\n');
      }
      this.yaml.open({
        title: 'What decides this matrix',
        text: 'Each environment of an application is an EnvironmentOverlay. What is seen here follows from these.',
        command: `kubectl get environmentoverlays --namespace ${this.ns()} --output yaml`,
        yaml: yaml.join('---\n') || '# none yet\n',
        file: `${this.ns()}-overlays.yaml`,
      });
    } finally {
      this.exporting.set(false);
    }
  }
}
