import { ChangeDetectionStrategy, Component, ElementRef, output, signal, viewChild } from '@angular/core';
import { MatButtonModule } from '@angular/material/button';
import { Icon } from '../../parts/icon';
import { FileHandle } from '../../upload/handles';

export interface Dropped {
  file: File;
  handle?: FileHandle;
}

interface WithPicker {
  showOpenFilePicker?(): Promise<FileHandle[]>;
}

/** Takes a file, by dropping or picking it; with a handle where the browser has them. */
@Component({
  selector: 'orbit-drop-zone',
  imports: [MatButtonModule, Icon],
  template: `
    <div
      class="zone"
      [class.over]="over()"
      (dragover)="$event.preventDefault(); over.set(true)"
      (dragleave)="over.set(false)"
      (drop)="drop($event)"
    >
      <orbit-icon name="upload" />
      <p>
        <strong>Drop an archive here</strong><br /><span class="quiet small"
          >docker save, or an OCI layout as a tar file</span
        >
      </p>
      <button type="button" mat-stroked-button (click)="pick()">Choose a file</button>
      <input #picker type="file" hidden aria-label="Archive of the image" (change)="picked()" />
    </div>
  `,
  styles: `
    .zone {
      display: flex;
      flex-wrap: wrap;
      align-items: center;
      gap: 0.6rem 1rem;
      padding: 1.1rem 1.25rem;
      border: 1.5px dashed light-dark(#9aa5ac, #54616a);
      border-radius: var(--radius);
      background: var(--ground);
    }
    .over {
      border-color: var(--accent);
      background: var(--accent-soft);
    }
    orbit-icon {
      font-size: 1.5rem;
      color: var(--accent);
    }
    p {
      margin: 0;
      flex: 1 1 12rem;
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class DropZone {
  readonly dropped = output<Dropped>();
  protected readonly over = signal(false);
  private readonly picker = viewChild.required<ElementRef<HTMLInputElement>>('picker');

  protected async drop(event: DragEvent): Promise<void> {
    event.preventDefault();
    this.over.set(false);
    const item = event.dataTransfer?.items[0];
    const file = event.dataTransfer?.files[0];
    if (!file) {
      return;
    }
    // It has to be asked for before the event is over.
    const handle = (
      item as { getAsFileSystemHandle?(): Promise<FileHandle | null> } | undefined
    )?.getAsFileSystemHandle?.();
    this.dropped.emit({ file, handle: (await handle?.catch(() => null)) ?? undefined });
  }

  protected async pick(): Promise<void> {
    const { showOpenFilePicker } = window as WithPicker;
    if (!showOpenFilePicker || navigator.webdriver) {
      this.picker().nativeElement.click();
      return;
    }
    try {
      const [handle] = await showOpenFilePicker.call(window);
      if (handle) {
        this.dropped.emit({ file: await handle.getFile(), handle });
      }
    } catch {
      // The person has thought better of it.
    }
  }

  protected picked(): void {
    const element = this.picker().nativeElement;
    const file = element.files?.[0];
    if (file) {
      this.dropped.emit({ file });
    }
    element.value = '';
  }
}
