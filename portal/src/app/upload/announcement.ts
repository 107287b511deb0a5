import { inject, Injectable } from '@angular/core';
import { Plane } from '../api/plane';
import { Problem } from '../api/problem';
import { ImageUpload } from '../api/types';
import { Live } from '../live/live';
import { standing } from '../objects/conditions';
import { hashOfKey } from './key';
import { imageUpload } from './request';
import { Transfer } from './transfer';

/** How often the plane is asked for its session where no change tells of it. */
const POLL = 1500;

/** The ImageUpload that says what is to come, and in which the plane answers where to send it. */
@Injectable({ providedIn: 'root' })
export class Announcement {
  private readonly plane = inject(Plane);
  private readonly live = inject(Live);

  private async existing(transfer: Transfer): Promise<{ data: ImageUpload; etag?: string } | undefined> {
    const { ns, application } = transfer.record().request;
    try {
      return await this.plane.object<ImageUpload>(ns, 'imageuploads', application);
    } catch (error) {
      if (Problem.of(error).status === 404) {
        return undefined;
      }
      throw error;
    }
  }

  /** The session that is open for this very archive and key, if one is. */
  async sessionOf(transfer: Transfer): Promise<string | undefined> {
    const { sha256, key, request } = transfer.record();
    const found = await this.existing(transfer);
    const isOurs =
      found?.data.spec.version === request.version &&
      key !== undefined &&
      found.data.metadata.annotations?.['orbit.k8or.io/upload-key-sha256'] === (await hashOfKey(key));
    const upload = found?.data.status?.upload;
    return isOurs && upload?.sha256 === sha256 ? upload?.url : undefined;
  }

  /** Writes the ImageUpload: anew, or over the one that is there. One upload of an application follows the other. */
  async write(transfer: Transfer, abort: AbortSignal, attempt = 1): Promise<void> {
    const { request, reference, sha256 = '', file, key } = transfer.record();
    const source = reference ? { reference: { image: reference } } : { archive: { sha256, size: file?.size ?? 0 } };
    const found = await this.existing(transfer);
    const object = imageUpload(request, source, key && (await hashOfKey(key)), found?.data);
    // Whoever pauses or gives up before this has written nothing.
    abort.throwIfAborted();
    try {
      if (found) {
        await this.plane.replace(request.ns, 'imageuploads', object, found.etag ?? '');
      } else {
        await this.plane.create(request.ns, 'imageuploads', object);
      }
    } catch (error) {
      const { status } = Problem.of(error);
      // Mostly its status that has moved on. Who wrote something else sees it in the object's history.
      if ((status !== 412 && status !== 409) || attempt >= 5) {
        throw error;
      }
      await this.write(transfer, abort, attempt + 1);
    }
    abort.throwIfAborted();
  }

  /** Where to send the bytes; nothing if the plane has them already. */
  async awaitSession(transfer: Transfer, abort: AbortSignal): Promise<string | undefined> {
    const { sha256, request } = transfer.record();
    for (;;) {
      abort.throwIfAborted();
      const found = await this.existing(transfer);
      const object = found?.data;
      const upload = object?.status?.upload;
      if (upload && upload.sha256 === sha256) {
        return upload.url;
      }
      if (object && object.status?.release?.version === request.version) {
        return undefined;
      }
      if (object && standing(object).tone === 'bad') {
        const { word, message } = standing(object);
        throw new Problem(0, word, message);
      }
      await this.changeOf(request.application, abort);
    }
  }

  private changeOf(name: string, abort: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        subscription.unsubscribe();
        abort.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, POLL);
      const subscription = this.live.changes.subscribe((change) => {
        if (change.type !== 'RESET' && change.plural === 'imageuploads' && change.name === name) {
          end();
        }
      });
      abort.addEventListener('abort', end);
    });
  }
}
