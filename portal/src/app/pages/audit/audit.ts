import { ChangeDetectionStrategy, Component, computed, inject, input, linkedSignal } from '@angular/core';
import { FormsModule } from '@angular/forms';
import { MatButtonModule } from '@angular/material/button';
import { MatFormFieldModule } from '@angular/material/form-field';
import { MatInputModule } from '@angular/material/input';
import { MatSelectModule } from '@angular/material/select';
import { Router, RouterLink } from '@angular/router';
import { Plane } from '../../api/plane';
import { AuditEvent } from '../../api/types';
import { liveQuery } from '../../live/query';
import { toYaml } from '../../objects/yaml';
import { Digest } from '../../parts/digest';
import { Icon } from '../../parts/icon';
import { Notice } from '../../parts/notice';
import { Skeleton } from '../../parts/skeleton';
import { ShowYaml } from '../../parts/yaml-dialog';

/** What the journal has. Newer planes may have more; whatever is in the address is asked for, too. */
const TYPES = [
  'stored',
  'described',
  'charted',
  'selected',
  'rendered',
  'deployment',
  'environmentRemoved',
  'uploadDeleted',
  'purged',
  'changed',
  'request',
];
/** In the address, what is no type but all of them: requests are many, and are shown when asked for. */
const ALL = 'all';
const PAGE = 100;

/** In the address: requests that belong to no namespace. */
const NONE = 'none';

/** Who did what, when: the journals of a namespace, or what belongs to none. */
@Component({
  selector: 'orbit-audit',
  imports: [
    RouterLink,
    FormsModule,
    MatButtonModule,
    MatFormFieldModule,
    MatInputModule,
    MatSelectModule,
    Digest,
    Icon,
    Notice,
    Skeleton,
  ],
  templateUrl: './audit.html',
  styleUrl: './audit.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Audit {
  readonly ns = input.required<string>();
  readonly application = input<string>();
  readonly actor = input<string>();
  readonly type = input<string>();
  /** Whether it is about this namespace, or about none. */
  readonly scope = input<string>();
  readonly after = input<string>();

  private readonly plane = inject(Plane);
  private readonly router = inject(Router);
  private readonly yaml = inject(ShowYaml);

  protected readonly filter = computed(() => ({
    application: this.application() || undefined,
    actor: this.actor() || undefined,
    type: this.type() === ALL ? undefined : this.type() || undefined,
    requests: this.type() === ALL || undefined,
  }));
  protected readonly ofNone = computed(() => this.scope() === NONE);
  protected readonly filtered = computed(() => Object.values(this.filter()).some(Boolean));
  /** As they are being written, which is not yet what is asked for. */
  protected readonly applicationText = linkedSignal(() => this.application() ?? '');
  protected readonly actorText = linkedSignal(() => this.actor() ?? '');

  protected readonly page = liveQuery({
    params: () => ({ ns: this.ns(), ofNone: this.ofNone(), ...this.filter(), after: this.after() }),
    load: ({ ns, ofNone, after, ...filter }, abort) => {
      const page = { limit: PAGE, continue: after };
      return ofNone
        ? this.plane.auditOfNone({ actor: filter.actor, ...page }, abort)
        : this.plane.audit(ns, { ...filter, ...page }, abort);
    },
    staleBy: () => !this.after(),
  });
  protected readonly types = computed(() => {
    const type = this.type();
    return type && type !== ALL && !TYPES.includes(type) ? [...TYPES, type] : TYPES;
  });
  protected readonly exports = computed(() => {
    const [ns, filter] = [this.ns(), this.filter()];
    const to = (format: 'jsonl' | 'csv'): string =>
      this.ofNone()
        ? this.plane.auditOfNoneExport({ actor: filter.actor }, format)
        : this.plane.auditExport(ns, filter, format);
    return { jsonl: to('jsonl'), csv: to('csv') };
  });

  protected search(part: { application?: string; actor?: string; type?: string; scope?: string }): void {
    const set = (text: string | undefined): string | null => text?.trim() || null;
    const queryParams = Object.fromEntries(Object.entries(part).map(([name, text]) => [name, set(text)]));
    void this.router.navigate([], { queryParams: { ...queryParams, after: null }, queryParamsHandling: 'merge' });
  }

  /** What there is to say of an event, in a line. */
  protected detail({ detail, request }: AuditEvent): string {
    if (!request) {
      return detail ?? '';
    }
    const { method, path, status, stream, count } = request;
    const answer = status === undefined ? 'not answered' : `${status}${stream ? `, stream ${stream}` : ''}`;
    return `${method} ${path}: ${answer}${count > 1 ? `, ${count} times` : ''}`;
  }

  protected show(event: AuditEvent): void {
    this.yaml.open({
      title: `Event ${event.seq} of ${event.journal}`,
      text: 'As the journal has it. Its hash is over the event and the hash of the one before it, so that none can be changed or left out.',
      yaml: toYaml(event),
      file: `${event.journal}-${event.seq}.yaml`,
    });
  }
}
