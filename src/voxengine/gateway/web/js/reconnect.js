// Calling again: where the gateway was busy, and to come back to a call whose connection was lost. The gateway keeps it for a while, with its provider connected.

import { ApiError } from './api.js';
import { pause } from './waiting.js';

/** As long as the gateway keeps a call, unless it is configured otherwise. */
const WITHIN_MS = 30000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 3000;
/** A gateway that is busy for a moment, as while it loads its models, is asked again so often. */
const TIMES = 3;
const MOMENT_S = 5;
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
    // Not longer than until the browser is online again.
    await pause(wait, signal, 'online');
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

/** Call a gateway again that is busy, when it says so. @param {() => Promise<void>} attempt @throws the last failure */
export async function askAgain(attempt) {
  for (let left = TIMES; ; left -= 1) {
    try {
      await attempt();
      return;
    } catch (failure) {
      const moment = failure.status === 503 && failure.retryAfter && failure.retryAfter <= MOMENT_S;
      if (!left || !moment) throw failure;
      await pause(failure.retryAfter * 1000);
    }
  }
}
