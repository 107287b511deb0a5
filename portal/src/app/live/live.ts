import { computed, inject, Injectable, signal } from '@angular/core';
import { Subject } from 'rxjs';
import { Plane } from '../api/plane';
import { Problem } from '../api/problem';
import { KubernetesObject } from '../api/types';
import { Plural } from '../api/types';

/** A change of an object, or `reset`: something was missed, so everything has to be read again. */
export type Change =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; plural: Plural; name: string; object: KubernetesObject }
  | { type: 'RESET' };

/** `refused`: the plane does not let this namespace be followed, or is not there yet; it is tried again. */
export type LiveState = 'off' | 'connecting' | 'live' | 'lost' | 'refused';

/** Longest pause between two attempts to connect again. */
const MAX_PAUSE = 15_000;

/** The one stream of changes that every page is kept fresh by. */
@Injectable({ providedIn: 'root' })
export class Live {
  private readonly plane = inject(Plane);
  private readonly told = new Subject<Change>();
  private source?: EventSource;
  private again?: ReturnType<typeof setTimeout>;
  private failures = 0;
  /** Where the plane is to go on from. */
  private lastId = '';

  constructor() {
    // Browsers have six connections to a host, for all tabs: one that nobody looks at holds none, and goes on later.
    document.addEventListener('visibilitychange', () => {
      const namespace = this.namespace();
      if (!namespace) {
        return;
      }
      this.leave();
      if (!document.hidden) {
        this.connect(namespace, true);
      }
    });
  }

  readonly changes = this.told.asObservable();
  readonly namespace = signal<string | undefined>(undefined);
  private readonly connection = signal<LiveState>('off');
  readonly state = computed(() => this.connection());

  /** Follows a namespace, and no other from now on. */
  follow(namespace: string | undefined): void {
    if (namespace === this.namespace() && this.source) {
      return;
    }
    this.end();
    this.namespace.set(namespace);
    if (namespace) {
      this.connect(namespace, false);
    }
  }

  private connect(namespace: string, wasLost: boolean): void {
    // Of two that were to be, there is one.
    this.source?.close();
    this.connection.update((state) => (state === 'refused' ? state : wasLost ? 'lost' : 'connecting'));
    let wasOpen = false;
    const source = new EventSource(this.plane.watchUrl(namespace, this.lastId));
    this.source = source;
    const ready = (): void => {
      wasOpen = true;
      this.connection.set('live');
      this.failures = 0;
    };
    // A stream that goes on from a message brings what was missed; one that begins anew does not.
    const missesSomething = wasLost && !this.lastId;
    source.onopen = () => {
      ready();
      if (missesSomething) {
        this.told.next({ type: 'RESET' });
      }
    };
    const remember = ({ lastEventId }: MessageEvent<string>): void => {
      this.lastId = lastEventId || this.lastId;
    };
    source.addEventListener('ready', (message) => {
      remember(message);
      ready();
    });
    source.addEventListener('reset', (message) => {
      remember(message);
      this.told.next({ type: 'RESET' });
    });
    source.onmessage = (message: MessageEvent<string>) => {
      remember(message);
      this.told.next(JSON.parse(message.data) as Change);
    };
    source.onerror = () => {
      const isRefused = source.readyState === EventSource.CLOSED && !wasOpen && !this.lastId;
      this.connection.set(isRefused ? 'refused' : 'lost');
      if (source.readyState === EventSource.CLOSED) {
        // The browser gives up where the answer was a refusal, and does not say which. It may be a plane that is just
        // starting. Where it is a session that has ended, asking for it leads to signing in.
        const pause = Math.min(1000 * 2 ** this.failures++, MAX_PAUSE);
        this.again = setTimeout(() => void this.connectAgain(namespace), pause);
      }
    };
  }

  private async connectAgain(namespace: string): Promise<void> {
    const refused = await this.plane.session().then(
      () => false,
      (error: unknown) => Problem.of(error).status === 401,
    );
    if (namespace !== this.namespace()) {
      return;
    }
    if (refused) {
      // Whoever signs in again has it followed anew.
      this.end();
      this.namespace.set(undefined);
    } else if (!document.hidden) {
      this.connect(namespace, true);
    }
  }

  private leave(): void {
    clearTimeout(this.again);
    this.source?.close();
    this.source = undefined;
    this.failures = 0;
  }

  private end(): void {
    this.leave();
    this.lastId = '';
    this.connection.set('off');
  }
}
