// Coming back to a call whose connection was lost. The gateway keeps it for a while, with its provider connected.

import { ApiError } from './api.js';

/** As long as the gateway keeps a call, unless it is configured otherwise. */
const WITHIN_MS = 30000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 3000;
/** Answers that another try does not change: who is not let in, and a call that is over. */
const FINAL = new Set([401, 403, 404, 410]);

/**
 * Try, at growing intervals, until it works.
 * @param {() => Promise<void>} attempt
 * @param {AbortSignal} signal nobody wants to come back any more
 * @throws the last failure, when there is no hope left
 */
export async function comeBack(attempt, signal) {
  const until = performance.now() + WITHIN_MS;
  for (let wait = FIRST_PAUSE_MS; !signal.aborted; wait = Math.min(2 * wait, LONGEST_PAUSE_MS)) {
    await pause(wait, signal);
    if (signal.aborted) return;
    try {
      await attempt();
      return;
    } catch (failure) {
      const final = failure instanceof ApiError && FINAL.has(failure.status);
      if (final || performance.now() > until) throw failure;
    }
  }
}

/** Wait; not longer than until the browser is online again. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener('online', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener('online', done);
    signal.addEventListener('abort', done);
  });
}
