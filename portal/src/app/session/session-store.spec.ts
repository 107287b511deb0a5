import { TestBed } from '@angular/core/testing';
import { provideRouter, Router } from '@angular/router';
import { Http } from '../api/http';
import { Plane } from '../api/plane';
import { SessionStore } from './session-store';

describe('SessionStore', () => {
  const plane = { signIn: async () => ({ user: { name: 'maria', groups: [] }, csrfToken: 'c', expiresAt: '' }) };

  it('ends with a refusal, but not with those from before it', async () => {
    TestBed.configureTestingModule({ providers: [provideRouter([]), { provide: Plane, useValue: plane }] });
    const http = TestBed.inject(Http);
    const store = TestBed.inject(SessionStore);
    const goTo = vi.spyOn(TestBed.inject(Router), 'navigate').mockResolvedValue(true);
    http.unauthorised.set(1); // a wrong token
    TestBed.tick();
    await store.signIn('good');
    TestBed.tick();
    expect(store.session()?.user.name).toBe('maria');
    expect(http.csrfToken()).toBe('c');
    expect(goTo).not.toHaveBeenCalled();

    http.unauthorised.set(2);
    TestBed.tick();
    expect(store.session()).toBeUndefined();
    expect(http.csrfToken()).toBe('');
    expect(store.ended()).toBe(true);
    expect(goTo).toHaveBeenCalledWith(['/sign-in'], { queryParams: { return: '/' } });
  });
});
