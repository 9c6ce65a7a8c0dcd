// What the gateway's operators see of this call: its cost, its own latencies, switches. Not every key may look.

import { ApiError, callEvents, findCall, json, post } from './api.js';
import { Emitter } from './model/emitter.js';
import { pause } from './waiting.js';

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
      await this.tellCost(call.cost, signal);
      if (missed) this.emit('missed', await this.transcript(signal));
      await Promise.all([this.follow(signal), this.poll(signal)]);
    } catch (failure) {
      if (!(failure instanceof ApiError) && failure.name !== 'AbortError') throw failure;
    }
  }

  async follow(signal) {
    while (!signal.aborted) {
      try {
        for await (const event of callEvents(this.id, signal)) await this.take(event, signal);
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
        await this.tellCost(call.cost, signal);
      } catch (failure) {
        if (failure instanceof ApiError && [401, 403, 404].includes(failure.status)) return;
      }
    }
  }

  async take(event, signal) {
    if (event.type === 'cost_updated') await this.tellCost(event.cost, signal);
    this.emit(event.type, event);
  }

  /** Tell what the call has cost: {usd, unknown}. Of models without a known price, `unknown` has the names. */
  async tellCost(cost, signal) {
    if (cost !== null) {
      this.emit('cost', { usd: cost, unknown: [] });
      return;
    }
    const { legs } = await json(`v1/calls/${encodeURIComponent(this.id)}/cost`, { signal });
    const known = legs.filter((leg) => leg.cost !== null);
    const unknown = legs.filter((leg) => leg.cost === null).map(({ model, provider }) => model || provider);
    if (known.length) this.emit('cost', { usd: known.reduce((sum, leg) => sum + leg.cost, 0), unknown });
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
