// The conversation as the server's events tell it: items in their order, with what was heard of each.

import { decodedLength, durationMs } from '../audio/pcm.js';
import { Emitter } from './emitter.js';
import { split } from './heard.js';

export class Conversation extends Emitter {
  constructor() {
    super();
    this.clear();
  }

  clear() {
    this.items = new Map();
    /** Ids in the order of the conversation. */
    this.order = [];
    this.emit('cleared');
  }

  /** @returns {Object[]} the items in their order */
  list() {
    return this.order.map((id) => this.items.get(id));
  }

  /** Take an event of the server. @param {Object} event @param {string} provider who answers now */
  apply(event, provider) {
    this[HANDLERS[event.type]]?.(event, provider);
  }

  ensure(id, fields, after) {
    let item = this.items.get(id);
    if (item) return item;
    item = { ...BLANK, id, at: performance.now(), ...fields };
    this.items.set(id, item);
    const place = after ? this.order.indexOf(after) : -1;
    if (place >= 0) this.order.splice(place + 1, 0, id);
    else this.order.push(id);
    this.emit('changed', item);
    return item;
  }

  change(id, fields) {
    const item = this.items.get(id);
    if (!item) return;
    Object.assign(item, fields);
    this.emit('changed', item);
  }

  added({ item, previous_item_id: after }, provider) {
    const known = this.items.has(item.id);
    const entry = this.ensure(item.id, { type: item.type, role: item.role ?? null }, after);
    const text = textOf(item);
    const fields = { type: item.type, role: item.role ?? entry.role, state: '' };
    if (text && !entry.text) fields.text = text;
    if (entry.role === 'assistant' || item.type === 'function_call') fields.provider = entry.provider || provider;
    if (item.role === 'user') fields.typed = item.content?.some((part) => part.type === 'input_text') ?? false;
    if (item.role === 'user' && !fields.typed && !text && !entry.text) fields.state = 'transcribing';
    if (item.type === 'function_call') Object.assign(fields, { name: item.name, callId: item.call_id });
    if (item.type === 'function_call' && item.arguments) fields.args = item.arguments;
    if (item.type === 'function_call_output') Object.assign(fields, { callId: item.call_id, output: item.output });
    if (known && entry.done) delete fields.state;
    this.change(item.id, fields);
    if (item.type === 'function_call_output') this.answered(item);
  }

  /** The result of a call is shown with the call. */
  answered(result) {
    for (const item of this.items.values()) {
      if (item.type === 'function_call' && item.callId === result.call_id) {
        this.change(item.id, { output: result.output, state: '' });
      }
    }
  }

  finished({ item }, provider) {
    this.added({ item }, provider);
    if (item.type === 'function_call') {
      const entry = this.items.get(item.id);
      this.change(item.id, { args: item.arguments ?? entry.args, state: entry.output === null ? 'running' : '' });
    }
  }

  removed({ item_id: id }) {
    this.items.delete(id);
    this.order = this.order.filter((other) => other !== id);
    this.emit('removed', id);
  }

  truncated({ item_id: id, audio_end_ms: ms }) {
    this.change(id, { cut: true, heardMs: ms, heardText: null, done: true });
  }

  listening({ item_id: id }) {
    if (id) this.ensure(id, { type: 'message', role: 'user', state: 'listening' });
  }

  heardOut({ item_id: id }) {
    const item = this.items.get(id);
    if (item && !item.text) this.change(id, { state: 'transcribing' });
  }

  partial({ item_id: id, delta }) {
    const item = this.ensure(id, { type: 'message', role: 'user' });
    this.change(id, { text: item.text + (delta ?? ''), partial: true, state: '' });
  }

  transcribed({ item_id: id, transcript }) {
    this.ensure(id, { type: 'message', role: 'user' });
    const text = transcript.trim();
    this.change(id, { text, partial: false, state: text ? '' : 'nothing' });
  }

  untranscribed({ item_id: id }) {
    this.change(id, { partial: false, state: 'untranscribed' });
  }

  words({ item_id: id, response_id: response, delta, type }, provider) {
    const item = this.ensure(id, { type: 'message', role: 'assistant', provider });
    const spoken = type.includes('audio') || item.spoken;
    this.change(id, { text: item.text + delta, response, spoken, heardMs: spoken ? (item.heardMs ?? 0) : null });
  }

  allWords({ item_id: id, transcript, text }) {
    const item = this.items.get(id);
    if (item && !item.cut) this.change(id, { text: transcript ?? text ?? item.text });
  }

  audio({ item_id: id, response_id: response, delta }, provider) {
    const item = this.ensure(id, { type: 'message', role: 'assistant', provider });
    item.response = response;
    item.spoken = true;
    item.heardMs ??= 0;
    item.audioMs += durationMs(decodedLength(delta));
  }

  audioDone({ item_id: id }) {
    const item = this.items.get(id);
    if (item) this.change(id, { complete: item.audioMs > 0 });
  }

  argumentsGrow({ item_id: id, delta }) {
    const item = this.items.get(id);
    if (item) this.change(id, { args: item.args + delta });
  }

  responseDone({ response }) {
    const cancelled = response.status === 'cancelled';
    for (const item of this.items.values()) {
      if (item.response !== response.id) continue;
      const fields = { complete: item.audioMs > 0 };
      if (cancelled && !item.spoken) Object.assign(fields, { cut: true, done: true });
      if (response.status === 'failed') fields.failed = response.status_details?.error?.message ?? 'it failed';
      this.change(item.id, fields);
    }
  }

  /** The loudspeaker says how much of an item was heard. */
  played({ item: id, ms, kind }) {
    const item = this.items.get(id);
    if (!item || item.cut) return;
    const over = kind === 'finished' || (kind === 'dry' && (item.complete || !item.audioMs));
    this.change(id, { heardMs: over ? null : Math.max(ms, item.heardMs ?? 0), heardAll: over });
  }

  /** The page was away: take over what the gateway's log has. @param {Object[]} logged its items, in their order */
  catchUp(logged) {
    const known = new Set(logged.map(({ id }) => id));
    for (const item of this.list()) {
      if (item.state === 'listening' && !item.text && !known.has(item.id)) this.removed({ item_id: item.id });
    }
    let after = null;
    for (const entry of logged) {
      if (entry.kind === 'function_output') this.answered(entry);
      else this.takeOver(entry, after);
      after = entry.id;
    }
  }

  takeOver({ id, kind, role, text, unheard_text: unheard = '', status, provider, name, arguments: args, ...more }, after) {
    const call = kind === 'function_call';
    const fresh = !this.items.has(id);
    const item = this.ensure(id, { type: kind, role: call ? null : role, provider: provider ?? '' }, after);
    if (call) {
      this.change(id, { name, callId: more.call_id, args: args ?? '' });
      return;
    }
    // What the page has seen to its end stays as it has seen it.
    const settled = item.cut || (item.role === 'assistant' ? item.heardAll : item.text && !item.partial);
    if ((settled && !fresh) || status === 'in_progress') return;
    const fields = { text: text + unheard, partial: false, done: true, state: text || role !== 'user' ? '' : 'nothing' };
    if (role === 'assistant') Object.assign(fields, { spoken: true, heardMs: null, heardAll: status === 'completed' });
    if (role === 'assistant' && status === 'incomplete') Object.assign(fields, { cut: true, heardMs: more.heard_ms ?? 0, heardText: text });
    this.change(id, fields);
  }

  /** What was heard of an item, and what was not, for the page and for who tests it. */
  heard(item) {
    if (item.heardText !== null) return [item.heardText, item.text.slice(item.heardText.length)];
    return split(item);
  }
}

const BLANK = {
  type: 'message',
  role: null,
  text: '',
  /** The text may still change. */
  partial: false,
  /** "", listening, transcribing, nothing, untranscribed; of a call: running. */
  state: '',
  typed: false,
  spoken: false,
  provider: '',
  response: null,
  audioMs: 0,
  /** All of its audio is here. */
  complete: false,
  /** Milliseconds that were played; null: all of it, or it has no audio. */
  heardMs: null,
  heardAll: false,
  /** The words that were heard, where the gateway has told them. */
  heardText: null,
  cut: false,
  done: false,
  failed: '',
  name: '',
  callId: '',
  args: '',
  output: null,
};

const HANDLERS = {
  'conversation.item.added': 'added',
  'conversation.item.created': 'added',
  'conversation.item.done': 'finished',
  'conversation.item.deleted': 'removed',
  'conversation.item.truncated': 'truncated',
  'conversation.item.input_audio_transcription.delta': 'partial',
  'conversation.item.input_audio_transcription.completed': 'transcribed',
  'conversation.item.input_audio_transcription.failed': 'untranscribed',
  'input_audio_buffer.speech_started': 'listening',
  'input_audio_buffer.speech_stopped': 'heardOut',
  'response.output_audio_transcript.delta': 'words',
  'response.output_text.delta': 'words',
  'response.output_audio_transcript.done': 'allWords',
  'response.output_text.done': 'allWords',
  'response.output_audio.delta': 'audio',
  'response.output_audio.done': 'audioDone',
  'response.function_call_arguments.delta': 'argumentsGrow',
  'response.output_item.done': 'finished',
  'response.done': 'responseDone',
};

function textOf(item) {
  return (item.content ?? []).map((part) => part.text ?? part.transcript ?? '').join('').trim();
}
