import { inject, Injectable } from '@angular/core';
import { Title } from '@angular/platform-browser';
import { RouterStateSnapshot, TitleStrategy } from '@angular/router';

/** What a page is about first: that is what is left of it in a narrow tab. */
@Injectable()
export class OrbitTitle extends TitleStrategy {
  private readonly title = inject(Title);

  override updateTitle(state: RouterStateSnapshot): void {
    let route = state.root;
    const params: Record<string, string> = {};
    while (route.firstChild) {
      route = route.firstChild;
      Object.assign(params, route.params);
    }
    const about = [params['name'] ?? params['app'], this.buildTitle(state), params['ns'], 'Orbit'];
    this.title.setTitle(about.filter(Boolean).join(' · '));
  }
}
