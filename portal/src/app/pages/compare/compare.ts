import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';
import { MatButtonModule } from '@angular/material/button';
import { MatFormFieldModule } from '@angular/material/form-field';
import { MatSelectModule } from '@angular/material/select';
import { Router, RouterLink } from '@angular/router';
import { Plane } from '../../api/plane';
import { Side } from '../../api/types';
import { liveQuery } from '../../live/query';
import { inOrder } from '../../objects/environments';
import { toYaml } from '../../objects/yaml';
import { bytes } from '../../parts/bytes';
import { Digest } from '../../parts/digest';
import { DiffView } from '../../parts/diff-view';
import { Icon } from '../../parts/icon';
import { readUnified } from '../../parts/line-diff';
import { Notice } from '../../parts/notice';
import { Skeleton } from '../../parts/skeleton';
import { ShowYaml } from '../../parts/yaml-dialog';

/** How two versions or environments of an application differ. */
@Component({
  selector: 'orbit-compare',
  imports: [RouterLink, MatButtonModule, MatFormFieldModule, MatSelectModule, Digest, DiffView, Icon, Notice, Skeleton],
  templateUrl: './compare.html',
  styleUrl: './compare.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Compare {
  readonly ns = input.required<string>();
  readonly app = input.required<string>();
  readonly from = input<string>();
  readonly to = input<string>();

  private readonly plane = inject(Plane);
  private readonly router = inject(Router);
  private readonly yaml = inject(ShowYaml);

  protected readonly sides = liveQuery({
    params: () => ({ ns: this.ns(), app: this.app() }),
    load: async ({ ns, app }, abort) => {
      const { releases, environments } = await this.plane.lifecycle(ns, app, { limit: 1 }, abort);
      return {
        versions: releases.filter((each) => !each.purgedAt).map((each) => each.version),
        environments: inOrder(environments.map((each) => each.environment)),
      };
    },
    staleBy: (change, { app }) => change.type === 'RESET' || change.object?.spec?.['application'] === app,
  });
  protected readonly difference = liveQuery({
    params: () => {
      const [from, to] = [this.from(), this.to()];
      return from && to ? { ns: this.ns(), app: this.app(), from, to } : undefined;
    },
    load: ({ ns, app, from, to }, abort) => this.plane.difference(ns, app, from, to, abort),
    // Versions never change; what is rendered for an environment does.
    staleBy: (change, { app }) => change.type === 'RESET' || change.name?.startsWith(`${app}.`),
  });
  protected readonly objects = computed(() =>
    (this.difference.value()?.objects.changes ?? []).map((each) => ({ ...each, lines: readUnified(each.diff) })),
  );

  protected readonly bytes = bytes;

  protected isDigest(text: string | undefined): text is string {
    return text?.startsWith('sha256:') ?? false;
  }

  protected saidOf(side: Side): string {
    return side.environment ? `${side.environment}${side.rendered ? ` (${side.rendered})` : ''}` : (side.version ?? '');
  }

  protected choose(part: { from?: string; to?: string }): void {
    void this.router.navigate([], { queryParams: part, queryParamsHandling: 'merge' });
  }

  protected swap(): void {
    this.choose({ from: this.to(), to: this.from() });
  }

  protected showYaml(): void {
    const difference = this.difference.value();
    if (difference) {
      this.yaml.open({
        title: 'What differs',
        command: `orbit diff ${this.app()} ${this.from()} ${this.to()} --namespace ${this.ns()}`,
        yaml: toYaml(difference),
        file: `${this.app()}-${this.from()}-${this.to()}.yaml`,
      });
    }
  }
}
