import { TestBed } from '@angular/core/testing';
import { MatSnackBar } from '@angular/material/snack-bar';
import { NavigationError } from '@angular/router';
import { Subject } from 'rxjs';
import { explainNavigation, mayLeave } from './navigation';

describe('explainNavigation', () => {
  it('says that a page cannot be loaded, and what to do', () => {
    const told: string[] = [];
    const open = (...words: string[]): object => {
      told.push(...words);
      return { onAction: () => new Subject<void>() };
    };
    TestBed.configureTestingModule({ providers: [{ provide: MatSnackBar, useValue: { open } }] });
    TestBed.runInInjectionContext(() => explainNavigation(new NavigationError(1, '/ns/shop/clusters', new Error())));
    expect(told).toEqual([expect.stringContaining('cannot be loaded'), 'Load it again']);
  });
});

describe('mayLeave', () => {
  it('asks the page, where it has something to lose', () => {
    expect([mayLeave(null), mayLeave({}), mayLeave({ canLeave: () => false })]).toEqual([true, true, false]);
  });
});
