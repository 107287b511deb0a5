import { ChangeDetectionStrategy, Component, computed, inject, input, linkedSignal } from '@angular/core';
import { FormsModule } from '@angular/forms';
import { MatButtonModule } from '@angular/material/button';
import { MatFormFieldModule } from '@angular/material/form-field';
import { MatInputModule } from '@angular/material/input';
import { MatSelectModule } from '@angular/material/select';
import { Router, RouterLink } from '@angular/router';
import { Plane } from '../../api/plane';
import { liveQuery } from '../../live/query';
import { toYaml } from '../../objects/yaml';
import { Icon } from '../../parts/icon';
import { Notice } from '../../parts/notice';
import { Skeleton } from '../../parts/skeleton';
import { ShowYaml } from '../../parts/yaml-dialog';
import { Chart } from './chart';
import { isEmpty, measures, periodName, range } from './figures';

const DAYS = [7, 30, 90];

/** How deliveries go over time: the four measures of DORA. */
@Component({
  selector: 'orbit-reports',
  imports: [
    RouterLink,
    FormsModule,
    MatButtonModule,
    MatFormFieldModule,
    MatInputModule,
    MatSelectModule,
    Chart,
    Icon,
    Notice,
    Skeleton,
  ],
  templateUrl: './reports.html',
  styleUrl: './reports.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Reports {
  readonly ns = input.required<string>();
  readonly application = input<string>();
  readonly environment = input<string>();
  readonly days = input<string>();
  readonly period = input<string>();

  private readonly plane = inject(Plane);
  private readonly router = inject(Router);
  private readonly yaml = inject(ShowYaml);

  protected readonly ranges = DAYS;
  protected readonly span = computed(() => DAYS.find((days) => String(days) === this.days()) ?? 30);
  protected readonly step = computed(() => (this.period() === 'week' ? 'week' : 'day'));
  protected readonly filtered = computed(() => !!this.application() || !!this.environment());
  /** As they are being written, which is not yet what is asked for. */
  protected readonly applicationText = linkedSignal(() => this.application() ?? '');
  protected readonly environmentText = linkedSignal(() => this.environment() ?? '');

  private readonly asked = computed(() => ({
    application: this.application() || undefined,
    environment: this.environment() || undefined,
    ...range(this.span(), Date.now()),
    period: this.step() as 'day' | 'week',
  }));
  protected readonly report = liveQuery({
    params: () => ({ ns: this.ns(), asked: this.asked() }),
    load: ({ ns, asked }, abort) => this.plane.report(ns, asked, abort),
    staleBy: (change) => change.type === 'RESET' || change.plural === 'deliveries' || change.plural === 'imageuploads',
    // It is of whole days, and costs the plane more than what is looked at all the time.
    atMostEvery: 30_000,
  });
  protected readonly measures = computed(() => {
    const report = this.report.value();
    return report && !isEmpty(report) ? measures(report) : [];
  });
  protected readonly labels = computed(() => (this.report.value()?.periods ?? []).map(periodName));

  protected search(part: { application?: string; environment?: string; days?: number; period?: string }): void {
    const set = (value: string | number | undefined): string | null => String(value ?? '').trim() || null;
    const queryParams = Object.fromEntries(Object.entries(part).map(([name, value]) => [name, set(value)]));
    void this.router.navigate([], { queryParams, queryParamsHandling: 'merge' });
  }

  protected show(): void {
    this.yaml.open({
      title: 'This report',
      text: `As the plane answers it at ${this.plane.reportUrl(this.ns(), this.asked())}. Times are in seconds.`,
      yaml: toYaml(this.report.value()),
      file: `${this.ns()}-report.yaml`,
    });
  }
}
