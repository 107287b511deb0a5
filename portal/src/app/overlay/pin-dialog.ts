import { ChangeDetectionStrategy, Component, inject } from '@angular/core';
import { MAT_DIALOG_DATA, MatDialogModule, MatDialogRef } from '@angular/material/dialog';
import { OverlayEditor } from './editor';

export interface PinTarget {
  ns: string;
  application: string;
  environment: string;
  versions: string[];
  pinTo?: string;
}

/** Chooses the version of an environment. */
@Component({
  imports: [MatDialogModule, OverlayEditor],
  template: `
    <h2 mat-dialog-title>Version of {{ target.application }} in {{ target.environment }}</h2>
    <mat-dialog-content>
      <orbit-overlay-editor
        versionOnly
        [ns]="target.ns"
        [name]="target.application + '.' + target.environment"
        [versions]="target.versions"
        [pinTo]="target.pinTo"
        (done)="ref.close($event)"
      />
    </mat-dialog-content>
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class PinDialog {
  protected readonly target = inject<PinTarget>(MAT_DIALOG_DATA);
  protected readonly ref = inject(MatDialogRef);
}
