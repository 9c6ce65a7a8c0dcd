// Waiting for time to pass, or for something to be so.

const LOOK_EVERY_MS = 20;

/**
 * @param {number} ms
 * @param {AbortSignal} [signal] ends the wait
 * @param {string} [event] of the window: ends the wait, too
 */
export function pause(ms, signal, event) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      if (event) removeEventListener(event, done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
    if (event) addEventListener(event, done);
  });
}

/** Until that holds; not longer than so many milliseconds. */
export async function until(condition, ms) {
  const end = performance.now() + ms;
  while (!condition() && performance.now() < end) await pause(LOOK_EVERY_MS);
}
