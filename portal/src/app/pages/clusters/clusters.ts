import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';
import { MatButtonModule } from '@angular/material/button';
import { RouterLink } from '@angular/router';
import { Plane } from '../../api/plane';
import { EphemeralCluster } from '../../api/types';
import { liveQuery } from '../../live/query';
import { condition, standing, STATE_WORDS, toneOfState } from '../../objects/conditions';
import { asWritten, toYaml } from '../../objects/yaml';
import { Ago } from '../../parts/ago';
import { Badge } from '../../parts/badge';
import { Code } from '../../parts/code';
import { Icon } from '../../parts/icon';
import { Notice } from '../../parts/notice';
import { Skeleton } from '../../parts/skeleton';
import { ShowYaml } from '../../parts/yaml-dialog';
import { joinCommand, joinYaml } from './join';

/** The clusters that are here, what runs in them, and how another one joins. */
@Component({
  selector: 'orbit-clusters',
  imports: [RouterLink, MatButtonModule, Ago, Badge, Code, Icon, Notice, Skeleton],
  templateUrl: './clusters.html',
  styleUrl: './clusters.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Clusters {
  readonly ns = input.required<string>();
  /** The environment that somebody looks for a cluster for. */
  readonly join = input<string>();

  private readonly plane = inject(Plane);
  private readonly yaml = inject(ShowYaml);

  protected readonly objects = liveQuery({
    params: () => this.ns(),
    load: (ns, abort) => this.plane.allObjects<EphemeralCluster>(ns, 'ephemeralclusters', abort),
    staleBy: (change) => change.type === 'RESET' || change.plural === 'ephemeralclusters',
  });
  protected readonly deployments = liveQuery({
    params: () => this.ns(),
    load: (ns, abort) => this.plane.clusterDeployments(ns, abort),
    staleBy: (change) =>
      change.type === 'RESET' || change.plural === 'deliveries' || change.plural === 'ephemeralclusters',
  });
  protected readonly clusters = computed(() =>
    (this.objects.value() ?? []).map((object) => ({
      object,
      name: object.metadata.name,
      environment: object.metadata.labels?.['orbit.k8or.io/environment'],
      standing: standing(object),
      reachable: condition(object, 'Reachable'),
      running: (this.deployments.value() ?? [])
        .filter(
          ({ cluster, current }) =>
            current && cluster.name === object.metadata.name && cluster.namespace === object.metadata.namespace,
        )
        .map((each) => ({ ...each, tone: toneOfState(each.state), word: STATE_WORDS[each.state] ?? each.state })),
    })),
  );
  protected readonly joining = computed(() => {
    const environment = this.join() ?? 'prod';
    return { yaml: joinYaml(this.ns(), 'eu-1', environment), command: joinCommand(this.ns(), 'eu-1') };
  });

  protected showYaml(object: EphemeralCluster): void {
    const { name } = object.metadata;
    this.yaml.open({
      title: `EphemeralCluster ${name}`,
      command: `kubectl get ephemeralcluster ${name} --namespace ${this.ns()} --output yaml`,
      yaml: toYaml(asWritten(object)),
      file: `${name}.yaml`,
    });
  }
}
