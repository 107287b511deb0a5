/** What a browser that has them gives for a file that was dropped or picked: a way back to it after a reload. */
export type FileHandle = FileSystemFileHandle & {
  queryPermission?(options: { mode: 'read' }): Promise<PermissionState>;
  requestPermission?(options: { mode: 'read' }): Promise<PermissionState>;
};

const [DATABASE, STORE] = ['orbit', 'handles'];

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB does not open'));
  });
}

async function ask<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open();
  try {
    return await new Promise<T>((resolve, reject) => {
      const request = act(database.transaction(STORE, mode).objectStore(STORE));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error('IndexedDB does not answer'));
    });
  } finally {
    database.close();
  }
}

/** Without handles, or where IndexedDB is closed to us, the file is picked again: nothing is lost by that. */
export async function keepHandle(id: string, handle: FileHandle): Promise<void> {
  await ask('readwrite', (store) => store.put(handle, id)).catch(() => undefined);
}

export async function findHandle(id: string): Promise<FileHandle | undefined> {
  return ask<FileHandle | undefined>('readonly', (store) => store.get(id) as IDBRequest<FileHandle | undefined>).catch(
    () => undefined,
  );
}

export async function forgetHandle(id: string): Promise<void> {
  await ask('readwrite', (store) => store.delete(id)).catch(() => undefined);
}

/** The file behind a handle. Asking a person for leave takes a click, which is `asking`. */
export async function fileOf(handle: FileHandle, asking: boolean): Promise<File | undefined> {
  try {
    const granted =
      (await handle.queryPermission?.({ mode: 'read' })) === 'granted' ||
      (asking && (await handle.requestPermission?.({ mode: 'read' })) === 'granted');
    return granted ? await handle.getFile() : undefined;
  } catch {
    return undefined;
  }
}
