import { ChangeDetectionStrategy, Component, inject, Injectable } from '@angular/core';
import { MatButtonModule } from '@angular/material/button';
import { MAT_DIALOG_DATA, MatDialog, MatDialogModule } from '@angular/material/dialog';
import { Code } from './code';

export interface ShownYaml {
  title: string;
  /** What it is, and what it is the same as. */
  text?: string;
  yaml: string;
  command?: string;
  file?: string;
}

@Component({
  imports: [MatDialogModule, MatButtonModule, Code],
  template: `
    <h2 mat-dialog-title>{{ shown.title }}</h2>
    <mat-dialog-content>
      @if (shown.text) {
        <p>{{ shown.text }}</p>
      }
      @if (shown.command) {
        <orbit-code [text]="shown.command" language="text" label="Command" />
      }
      <orbit-code [text]="shown.yaml" label="YAML" [file]="shown.file ?? ''" />
    </mat-dialog-content>
    <mat-dialog-actions align="end"><button mat-button mat-dialog-close>Close</button></mat-dialog-actions>
  `,
  styles: `
    mat-dialog-content {
      display: grid;
      gap: 0.75rem;
    }
    p {
      margin: 0;
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
class YamlDialog {
  protected readonly shown = inject<ShownYaml>(MAT_DIALOG_DATA);
}

/** Shows what a page or a click is in YAML. */
@Injectable({ providedIn: 'root' })
export class ShowYaml {
  private readonly dialog = inject(MatDialog);

  open(shown: ShownYaml): void {
    this.dialog.open(YamlDialog, { data: shown, width: '54rem', maxWidth: '96vw', autoFocus: 'dialog' });
  }
}
