import { ComponentFixture, TestBed } from '@angular/core/testing';
import { provideRouter, Router } from '@angular/router';
import { Plane } from '../../api/plane';
import { Problem } from '../../api/problem';
import { SignInMethod } from '../../api/types';
import { SignIn } from './sign-in';

// Whole components take their time on a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

describe('SignIn', () => {
  const plane = {
    methods: [] as SignInMethod[],
    signInMethods: async () => plane.methods,
    signIn: async (token: string) => {
      if (token !== 'good') {
        throw new Problem(401, 'Unauthorized', 'x');
      }
      return { user: { name: 'maria', groups: [] }, csrfToken: 'c', expiresAt: '' };
    },
  };

  async function show(): Promise<ComponentFixture<SignIn>> {
    TestBed.configureTestingModule({ providers: [provideRouter([]), { provide: Plane, useValue: plane }] });
    const fixture = TestBed.createComponent(SignIn);
    fixture.componentRef.setInput('return', '/ns/shop');
    await fixture.whenStable();
    return fixture;
  }

  async function submit(fixture: ComponentFixture<SignIn>, token: string): Promise<void> {
    const element = fixture.nativeElement as HTMLElement;
    const field = element.querySelector('input') as HTMLInputElement;
    field.value = token;
    field.dispatchEvent(new Event('input'));
    element.querySelector('form')?.dispatchEvent(new Event('submit'));
    await fixture.whenStable();
  }

  it('leads to the provider and back to the page that was meant', async () => {
    plane.methods = [{ type: 'oidc', name: 'Shop SSO', url: '/auth/start' }];
    const element = (await show()).nativeElement as HTMLElement;
    expect(element.querySelector('a')?.getAttribute('href')).toBe('/auth/start?return=%2Fns%2Fshop');
    expect(element.querySelector('form')).toBeNull();
  });

  it('says why the provider did not let one in', async () => {
    plane.methods = [{ type: 'oidc', name: 'Shop SSO', url: '/auth/start' }];
    const fixture = await show();
    fixture.componentRef.setInput('problem', 'expired');
    await fixture.whenStable();
    expect((fixture.nativeElement as HTMLElement).querySelector('[role=alert]')?.textContent).toContain(
      'took too long',
    );
  });

  it('signs in with a token and goes on', async () => {
    plane.methods = [{ type: 'token' }];
    const fixture = await show();
    const goTo = vi.spyOn(TestBed.inject(Router), 'navigateByUrl').mockResolvedValue(true);
    await submit(fixture, ' good ');
    expect(goTo).toHaveBeenCalledWith('/ns/shop');
  });

  it('says what to do about a token that is not known', async () => {
    plane.methods = [{ type: 'token' }];
    const fixture = await show();
    await submit(fixture, 'bad');
    expect((fixture.nativeElement as HTMLElement).querySelector('[role=alert]')?.textContent).toContain(
      'make a new one',
    );
  });
});
