import {
  booleanAttribute,
  ChangeDetectionStrategy,
  Component,
  computed,
  effect,
  inject,
  input,
  output,
  signal,
  untracked,
} from '@angular/core';
import { FormsModule } from '@angular/forms';
import { MatButtonModule } from '@angular/material/button';
import { MatCheckboxModule } from '@angular/material/checkbox';
import { MatFormFieldModule } from '@angular/material/form-field';
import { MatInputModule } from '@angular/material/input';
import { MatRadioModule } from '@angular/material/radio';
import { MatSelectModule } from '@angular/material/select';
import { Problem } from '../api/problem';
import { DiffView } from '../parts/diff-view';
import { Icon } from '../parts/icon';
import { Notice } from '../parts/notice';
import { Skeleton } from '../parts/skeleton';
import { ShowYaml } from '../parts/yaml-dialog';
import { toYaml } from '../objects/yaml';
import { Editing, Outcome } from './editing';
import { formOf, formOnTop, mistakes, OverlayForm } from './form';

/** How long a person may pause before what is written is rehearsed. */
const TYPING = 350;

/** Edits an EnvironmentOverlay: all of what people usually change, or its version only. */
@Component({
  selector: 'orbit-overlay-editor',
  imports: [
    FormsModule,
    MatButtonModule,
    MatCheckboxModule,
    MatFormFieldModule,
    MatInputModule,
    MatRadioModule,
    MatSelectModule,
    DiffView,
    Icon,
    Notice,
    Skeleton,
  ],
  providers: [Editing],
  templateUrl: './editor.html',
  styleUrl: './editor.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class OverlayEditor {
  readonly ns = input.required<string>();
  readonly name = input.required<string>();
  /** The versions there are to pin, the newest first. */
  readonly versions = input<string[]>([]);
  readonly versionOnly = input(false, { transform: booleanAttribute });
  /** What is chosen to begin with, where somebody comes to roll back. */
  readonly pinTo = input<string>();
  readonly done = output<'applied' | 'cancelled'>();

  private readonly editing = inject(Editing);
  private readonly yaml = inject(ShowYaml);

  protected readonly overlay = this.editing.overlay;
  protected readonly form = signal<OverlayForm | undefined>(undefined);
  protected readonly outcome = signal<Outcome | undefined>(undefined);
  protected readonly failure = signal<Problem | undefined>(undefined);
  protected readonly busy = signal(false);
  protected readonly rehearsing = signal(false);
  protected readonly mistakes = computed(() => {
    const form = this.form();
    return form ? mistakes(form) : {};
  });
  protected readonly lines = computed(() => {
    const outcome = this.outcome();
    return outcome?.type === 'preview' ? outcome.lines : [];
  });
  protected readonly conflict = computed(() => {
    const outcome = this.outcome();
    return outcome?.type === 'conflict' ? outcome : undefined;
  });
  protected readonly refusal = computed(() => {
    const outcome = this.outcome();
    return outcome?.type === 'problem' ? outcome.problem : undefined;
  });
  protected readonly ready = computed(
    () => !this.busy() && !this.rehearsing() && this.lines().length > 0 && !Object.keys(this.mistakes()).length,
  );
  protected readonly choices = computed(() => {
    const pinned = this.form()?.pin;
    const versions = this.versions();
    return pinned && !versions.includes(pinned) ? [pinned, ...versions] : versions;
  });

  private timer?: ReturnType<typeof setTimeout>;
  private round = 0;

  constructor() {
    effect(() => {
      const [ns, name] = [this.ns(), this.name()];
      untracked(() => void this.load(ns, name));
    });
  }

  /** Whether something is written here that nobody else has. */
  isDirty(): boolean {
    const [overlay, form] = [this.overlay(), this.form()];
    return overlay !== undefined && JSON.stringify(form) !== JSON.stringify(formOf(overlay.spec));
  }

  protected async load(ns = this.ns(), name = this.name()): Promise<void> {
    this.failure.set(undefined);
    this.outcome.set(undefined);
    try {
      const overlay = await this.editing.load(ns, name);
      const form = formOf(overlay.spec);
      const pin = this.pinTo();
      this.form.set(pin ? { ...form, mode: 'pin', pin } : form);
      this.rehearseSoon(0);
    } catch (error) {
      this.failure.set(Problem.of(error));
    }
  }

  protected change(part: Partial<OverlayForm>): void {
    this.form.update((form) => form && { ...form, ...part });
    this.rehearseSoon(TYPING);
  }

  private rehearseSoon(pause: number): void {
    clearTimeout(this.timer);
    const round = ++this.round;
    this.rehearsing.set(true);
    this.timer = setTimeout(() => void this.rehearse(round), pause);
  }

  private async rehearse(round: number): Promise<void> {
    const form = this.form();
    const outcome = form && (await this.editing.rehearse(form).catch(asProblem));
    // An answer to what has been written over since says nothing.
    if (round === this.round) {
      this.outcome.set(outcome);
      this.rehearsing.set(false);
    }
  }

  protected async apply(): Promise<void> {
    const form = this.form();
    if (!form || !this.ready()) {
      return;
    }
    this.busy.set(true);
    const outcome = await this.editing.apply(form).catch(asProblem);
    this.busy.set(false);
    this.outcome.set(outcome);
    if (outcome?.type === 'preview') {
      this.done.emit('applied');
    }
  }

  /** Takes what is there now, and puts the edits on top of it: the diff says what that would change. */
  protected async keepMine(): Promise<void> {
    const [before, mine] = [this.overlay(), this.form()];
    await this.load();
    const theirs = this.overlay();
    if (before && mine && theirs) {
      this.form.set(formOnTop(formOf(before.spec), mine, formOf(theirs.spec)));
      this.rehearseSoon(0);
    }
  }

  protected shown(value: unknown): string {
    return value === undefined ? 'not set' : typeof value === 'string' ? value : toYaml(value).trim();
  }

  protected showYaml(): void {
    const outcome = this.outcome();
    if (outcome?.type === 'preview') {
      this.yaml.open({
        title: `EnvironmentOverlay ${this.name()}`,
        text: 'Applying this is the same as the button.',
        command: `kubectl apply --server-side --namespace ${this.ns()} --filename ${this.name()}.yaml`,
        yaml: outcome.yaml,
        file: `${this.name()}.yaml`,
      });
    }
  }
}

function asProblem(error: unknown): Outcome {
  return { type: 'problem', problem: Problem.of(error) };
}
