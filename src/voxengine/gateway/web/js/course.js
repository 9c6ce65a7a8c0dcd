// The course of a call from its events: who speaks, what was cut, who carries it on.

import { shown } from './audio/meter.js';

const LOOK_EVERY_MS = 25;
/** A microphone is loud above its own noise by this factor, and above this level in any case. */
const ABOVE_NOISE = 4;
const LOUD = 0.006;
const SOUNDS = 0.003;
const MAX_EARLY = 20;
/** Characters of a note in the list of moments. */
const MAX_SHOWN = 80;

export class Course {
  /** @param {Call} call */
  constructor(call) {
    this.call = call;
    this.noise = LOUD;
    this.loudAt = 0;
    /** When the answer was last to be heard. */
    this.soundedAt = 0;
    this.levels = { input: 0, output: 0 };
    setInterval(() => this.look(performance.now()), LOOK_EVERY_MS);
    /** The gateway's figures of answers that this page has not heard of yet. */
    this.early = [];
    call.watch.on('cost', (cost) => {
      call.cost = cost;
      call.emit('cost');
    });
    call.watch.on('metrics_updated', (metrics) => this.measured([...this.early, metrics]));
    call.watch.on('provider_switched', (event) => this.switchedTo(event));
    call.watch.on('missed', (items) => call.conversation.catchUp(items));
    call.watch.on('context_injected', (note) => this.noted(note));
    call.on('state', (state) => state === 'reconnecting' && this.cutOff());
    call.on('back', (ms) => this.link(`Back after ${(ms / 1000).toFixed(1)} s: the conversation goes on`));
  }

  /** Read the meters. */
  look(now) {
    const { meters, recorder, muted } = this.call;
    if (!meters) {
      this.levels = { input: 0, output: 0 };
      return;
    }
    const input = muted ? 0 : meters.input.read();
    const output = meters.output.read();
    this.levels = { input, output };
    // The noise floor sinks fast and rises slowly.
    this.noise = input < this.noise ? input * 0.2 + this.noise * 0.8 : this.noise * 1.002;
    if (input > Math.max(LOUD, this.noise * ABOVE_NOISE)) this.loudAt = now;
    if (output > SOUNDS) this.soundedAt = now;
    if (output > SOUNDS && recorder.speaking('assistant')) this.audible(now);
    recorder.sample(now, shown(input), shown(output));
  }

  /** The gateway names the item of the answer; its ids of responses are others than those on the wire. */
  measured(all) {
    const { turns, conversation } = this.call;
    this.early = all.filter((metrics) => !turns.measured(metrics, conversation.items.get(metrics.item_id)?.response)).slice(-MAX_EARLY);
    if (this.early.length < all.length) this.call.emit('turns');
  }

  audible(now) {
    const { turns } = this.call;
    if (turns.open?.response && turns.mark('audible', now)) this.call.emit('turns');
  }

  apply(event, now) {
    this[HANDLERS[event.type]]?.(event, now);
  }

  answered() {
    this.measured(this.early);
  }

  userBegins(_, now) {
    const { recorder } = this.call;
    recorder.speak('you', now);
  }

  userEnds({ item_id: item }, now) {
    const { recorder, turns } = this.call;
    recorder.quiet('you', now);
    turns.begin('speech', now, this.loudAt, item);
    this.call.emit('turns');
  }

  truncated({ item_id: id, audio_end_ms: ms }, now) {
    const { recorder, conversation } = this.call;
    recorder.quiet('assistant', now, true);
    const [heard] = conversation.heard(conversation.items.get(id) ?? { text: '', heardMs: null });
    const last = heard.trim().split(/\s+/u).slice(-3).join(' ');
    recorder.mark(now, 'cut', `Interrupted after ${(ms / 1000).toFixed(1)} s${last ? ` (“… ${last}”)` : ''}`);
    this.call.emit('marked');
  }

  toolCalled({ name }, now) {
    this.call.recorder.mark(now, 'tool', `Tool: ${name}`);
    this.call.emit('marked');
  }

  failed({ error }, now) {
    this.call.recorder.mark(now, 'error', error.message);
    this.call.emit('marked');
  }

  updated({ session }, now) {
    if (this.model && session.model && session.model !== this.model) {
      this.call.recorder.mark(now, 'switch', `${this.model} → ${session.model}`);
      this.call.emit('switched', { from: this.model, to: session.model });
      this.call.emit('marked');
    }
    this.model = session.model ?? this.model;
  }

  created({ session }) {
    this.model = session.model;
  }

  /** What became of a note, whoever has put it in. */
  noted({ status, text, reason, degraded_to: instead }) {
    const taken = status === 'applied' || status === 'degraded';
    const how = taken ? (instead ?? '') : `${status}${reason ? `: ${reason}` : ''}`;
    const what = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)} …` : text;
    this.call.recorder.mark(performance.now(), 'note', `Note “${what}”${how ? ` (${how})` : ''}`);
    this.call.emit('marked');
  }

  cutOff() {
    const now = performance.now();
    this.call.recorder.quiet('you', now);
    this.call.recorder.quiet('assistant', Math.min(now, this.soundedAt), true);
    this.link('The connection was lost');
  }

  link(text) {
    this.call.recorder.mark(performance.now(), 'link', text);
    this.call.emit('linked', text);
    this.call.emit('marked');
  }

  /** The gateway's own word, also of switches that nobody on this page asked for. */
  switchedTo({ previous, provider, reason, outage_ms: outage }) {
    if (reason === 'request') return;
    const took = outage ? `, ${Math.round(outage)} ms` : '';
    this.call.recorder.mark(performance.now(), 'switch', `${previous} → ${provider} (${reason}${took})`);
    this.call.emit('switched', { from: previous, to: provider, reason });
    this.call.emit('marked');
  }

  played({ kind }, now) {
    const { recorder } = this.call;
    if (kind === 'dry') recorder.quiet('assistant', now);
    else recorder.speak('assistant', now);
  }
}

const HANDLERS = {
  'session.created': 'created',
  'session.updated': 'updated',
  'input_audio_buffer.speech_started': 'userBegins',
  'input_audio_buffer.speech_stopped': 'userEnds',
  'conversation.item.truncated': 'truncated',
  'response.function_call_arguments.done': 'toolCalled',
  'response.done': 'answered',
  error: 'failed',
};
