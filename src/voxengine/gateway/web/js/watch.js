// What the gateway's operators see of this call: its cost, its own latencies, switches. Not every key may look.

import { ApiError, callEvents, findCall, json, post } from './api.js';
import { Emitter } from './model/emitter.js';

const AGAIN_AFTER_MS = 2000;
const COST_EVERY_MS = 5000;

export class Watch extends Emitter {
  constructor() {
    super();
    this.id = null;
    this.abort = null;
  }

  /**
   * @param {string} session the session's id, as the wire tells it
   * @param {boolean} missed whether the page was away, and may not know all that was said
   */
  async begin(session, missed = false) {
    this.end();
    const { signal } = (this.abort = new AbortController());
    try {
      const call = await findCall(session, signal);
      if (!call || signal.aborted) return;
      this.id = call.id;
      this.emit('found', call);
      this.tellCost(call.cost);
      if (missed) this.emit('missed', await this.transcript(signal));
      await Promise.all([this.follow(signal), this.poll(signal)]);
    } catch (failure) {
      if (!(failure instanceof ApiError) && failure.name !== 'AbortError') throw failure;
    }
  }

  async follow(signal) {
    while (!signal.aborted) {
      try {
        for await (const event of callEvents(this.id, signal)) this.take(event);
      } catch (failure) {
        if (signal.aborted || (failure instanceof ApiError && failure.status)) return;
      }
      await pause(AGAIN_AFTER_MS, signal);
    }
  }

  /** The cost also where the stream is not to be had, or nothing happens. */
  async poll(signal) {
    while (!signal.aborted) {
      await pause(COST_EVERY_MS, signal);
      if (signal.aborted) return;
      try {
        const call = await json(`v1/calls/${encodeURIComponent(this.id)}`, { signal });
        this.tellCost(call.cost);
      } catch (failure) {
        if (failure instanceof ApiError && [401, 403, 404].includes(failure.status)) return;
      }
    }
  }

  take(event) {
    if (event.type === 'cost_updated') this.tellCost(event.cost);
    this.emit(event.type, event);
  }

  tellCost(cost) {
    if (typeof cost === 'number') this.emit('cost', cost);
  }

  /** All that was said so far, as the gateway has it: its items. */
  async transcript(signal) {
    const path = `v1/calls/${encodeURIComponent(this.id)}/transcript`;
    return (await json(path, { query: { format: 'json' }, signal })).items;
  }

  /** Tell the assistant something that nobody says. @param {{text: string, when: string, speak: boolean}} note */
  inject(note) {
    return post(`v1/calls/${encodeURIComponent(this.id)}/inject`, note);
  }

  end() {
    this.abort?.abort();
    this.abort = null;
    this.id = null;
  }
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
