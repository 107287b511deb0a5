/**
 * Does something that no other tab of this browser does at the same time. Where one does, `waiting` is told of it, and it
 * is begun once that tab has ended, or is closed.
 */
export async function alone(
  name: string,
  abort: AbortSignal,
  waiting: () => void,
  work: () => Promise<void>,
): Promise<void> {
  // There are no locks where a page came by HTTP from another host.
  const locks = navigator.locks as LockManager | undefined;
  if (!locks) {
    return work();
  }
  const isFree = await locks.request(name, { ifAvailable: true }, async (lock) => {
    if (lock) {
      await work();
    }
    return lock !== null;
  });
  if (!isFree) {
    abort.throwIfAborted();
    waiting();
    await locks.request(name, { signal: abort }, work);
  }
}
