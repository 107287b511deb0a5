import { ChangeDetectionStrategy, Component, computed, input, model, signal } from '@angular/core';
import { FormsModule } from '@angular/forms';
import { MatButtonModule } from '@angular/material/button';
import { MatFormFieldModule } from '@angular/material/form-field';
import { MatInputModule } from '@angular/material/input';
import { MatSelectModule } from '@angular/material/select';
import { Icon } from '../../parts/icon';
import { ImageSettings } from '../../upload/image-config';
import { PortDraft, portsOf, ProbeDraft, tcpPorts, WorkloadDraft } from '../../upload/workload';
import { isRight, mistakesOf } from '../../upload/workload-mistakes';

/** Amounts of compute resources, in the order of the form. */
const AMOUNTS = [
  { kind: 'cpu', label: 'CPU', request: 'cpuRequest', limit: 'cpuLimit', example: 'none, or 500m' },
  { kind: 'memory', label: 'Memory', request: 'memoryRequest', limit: 'memoryLimit', example: 'none, or 128Mi' },
  { kind: 'disk', label: 'Disk', request: 'diskRequest', limit: 'diskLimit', example: 'none, or 1Gi' },
] as const;

/** Numbers of a probe, with those that Kubernetes takes where there are none. */
const PACE = [
  { field: 'period', label: 'Every, seconds', usual: '10' },
  { field: 'timeout', label: 'Answer within, seconds', usual: '1' },
  { field: 'failures', label: 'Failures that count', usual: '3' },
  { field: 'startup', label: 'Seconds to start in', usual: 'none' },
] as const;

/** How an image runs: what it says itself is there to begin with, and can be written otherwise. */
@Component({
  selector: 'orbit-workload-form',
  imports: [FormsModule, MatButtonModule, MatFormFieldModule, MatInputModule, MatSelectModule, Icon],
  templateUrl: './workload-form.html',
  styleUrl: './workload-form.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class WorkloadForm {
  readonly draft = model.required<WorkloadDraft>();
  /** What the image says of itself; nothing where only the plane can tell. */
  readonly image = input<ImageSettings>();

  /** What is wrong is never hidden; what was opened stays open once it is right. */
  protected readonly opened = signal(false);
  protected readonly mistakes = computed(() => mistakesOf(this.draft(), this.image()));
  protected readonly ports = computed(() => this.draft().ports ?? portsOf(this.image()));
  protected readonly isOfImage = computed(() => this.draft().ports === undefined);
  protected readonly askable = computed(() => tcpPorts(this.draft(), this.image()));
  protected readonly check = computed(() => this.image()?.healthcheck);
  protected readonly asks = computed(() => ['http', 'tcp', 'exec'].includes(this.draft().probe.kind));
  /** What is seen while the section is closed. */
  protected readonly summary = computed(() => {
    const { replicas, memoryLimit, probe } = this.draft();
    // The names that ports of an image have say nothing more than their numbers.
    const ports = this.ports().map(({ name, number }) => (name.endsWith(number) ? number : `${name} ${number}`));
    const checked = { image: this.check() ? 'HEALTHCHECK' : '', kept: 'probes as before', none: 'no probes' };
    return [
      `${replicas || 1} ${(replicas || '1') === '1' ? 'replica' : 'replicas'}`,
      ports.length ? `ports ${ports.join(', ')}` : 'no ports',
      memoryLimit && `up to ${memoryLimit}`,
      probe.kind === 'image' || probe.kind === 'kept' || probe.kind === 'none'
        ? checked[probe.kind]
        : 'health is asked',
    ]
      .filter(Boolean)
      .join(' · ');
  });
  protected readonly isWrong = computed(() => !isRight(this.mistakes()));
  /** Docker's words for what a command of the image is. */
  protected readonly entrypoint = computed(() => (this.image()?.entrypoint ?? []).join('\n'));
  protected readonly cmd = computed(() => (this.image()?.cmd ?? []).join('\n'));

  protected readonly amounts = AMOUNTS;
  protected readonly pace = PACE;

  protected setField(field: (typeof AMOUNTS)[number]['request' | 'limit'], text: string): void {
    this.set({ [field]: text });
  }

  protected setProbeField(field: (typeof PACE)[number]['field'], text: string): void {
    this.setProbe({ [field]: text });
  }

  protected set(part: Partial<WorkloadDraft>): void {
    this.draft.update((draft) => ({ ...draft, ...part }));
  }

  protected setProbe(part: Partial<ProbeDraft>): void {
    this.draft.update((draft) => ({ ...draft, probe: { ...draft.probe, ...part } }));
  }

  protected setPort(index: number, part: Partial<PortDraft>): void {
    this.set({ ports: this.ports().map((port, at) => (at === index ? { ...port, ...part } : port)) });
  }

  protected addPort(): void {
    const name = this.ports().some((port) => port.name === 'http') ? '' : 'http';
    this.set({ ports: [...this.ports(), { name, number: '', protocol: 'TCP' }] });
  }

  protected removePort(index: number): void {
    const left = this.ports().filter((_, at) => at !== index);
    // None at all is what the image says: the object cannot say that there are none.
    this.set({ ports: left.length ? left : undefined });
  }
}
