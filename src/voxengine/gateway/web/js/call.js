// One call after another: opens the transport, takes the server's events, and does what the user asks.

import { Microphone } from './audio/capture.js';
import { Meter } from './audio/meter.js';
import { Conversation } from './model/conversation.js';
import { Emitter } from './model/emitter.js';
import { EventLog } from './model/log.js';
import { Recorder } from './model/recorder.js';
import { Turns } from './model/turns.js';
import { Course } from './course.js';
import { askAgain, comeBack } from './reconnect.js';
import { firstUpdate, laterUpdate, resumedUpdate } from './session.js';
import { NAMES, run } from './tools.js';
import { openTransport } from './transport/open.js';
import { pause, until } from './waiting.js';
import { Watch } from './watch.js';

/** A shorter push of the button is a slip of the finger: OpenAI wants 100 ms of audio. */
const SHORTEST_PUSH_MS = 200;
const QUIET_WITHIN_MS = 2000;

export class Call extends Emitter {
  /** @param {Settings} settings */
  constructor(settings) {
    super();
    this.settings = settings;
    this.conversation = new Conversation();
    this.turns = new Turns();
    this.recorder = new Recorder();
    this.log = new EventLog();
    this.watch = new Watch();
    /** idle, connecting, live, or reconnecting. */
    this.state = 'idle';
    this.session = null;
    this.muted = false;
    this.pushed = null;
    this.meters = null;
    this.cost = null;
    this.tokens = { input: 0, output: 0 };
    this.responding = null;
    this.asked = new Map();
    /** Of an attempt to come back: how it is called off, since when, and what was not heard because of it. */
    this.returning = null;
    this.lostAt = null;
    this.cuts = [];
    this.course = new Course(this);
    for (const name of ['model', 'turns', 'voice', 'instructions', 'tools']) {
      settings.on(name, () => this.changed(name));
    }
  }

  // -- beginning and end

  async start() {
    if (this.state !== 'idle') return;
    this.reset();
    this.become('connecting');
    const mine = (this.opening = Symbol('opening'));
    try {
      await this.open();
      if (this.opening !== mine) this.release();
    } catch (failure) {
      this.release();
      if (this.opening === mine) {
        this.become('idle');
        this.emit('failed', failure);
      }
    }
  }

  async open() {
    this.context = new AudioContext({ latencyHint: 'interactive' });
    await this.context.resume();
    this.meters = { input: new Meter(this.context), output: new Meter(this.context) };
    this.microphone = await this.listen();
    this.microphone?.source.connect(this.meters.input.node);
    await askAgain(() => this.connect());
  }

  /** @param {string} [resume] the session to go on with @param {AbortSignal} [signal] it is not wanted any more */
  async connect(resume, signal) {
    const { node } = this.meters.output;
    const parts = { context: this.context, microphone: this.microphone, output: node, listener: this };
    const transport = await openTransport(this.settings, parts, resume);
    if (signal?.aborted) {
      transport.close();
      return;
    }
    this.transport = transport;
    // The analyser passes on what it measures; by WebRTC an element plays it already.
    node.disconnect();
    if (this.transport.name === 'WebSocket') node.connect(this.context.destination);
    this.applyGate();
  }

  async listen() {
    try {
      return await Microphone.request(this.context, {
        deviceId: this.settings.get('deviceId'),
        processing: this.settings.get('processing'),
      });
    } catch (failure) {
      this.emit('deaf', failure);
      return null;
    }
  }

  reset() {
    this.conversation.clear();
    this.turns.clear();
    this.log.clear();
    this.recorder.clear();
    this.cost = null;
    this.tokens = { input: 0, output: 0 };
    this.session = null;
    this.responding = null;
    this.asked.clear();
  }

  hangUp() {
    this.opening = null;
    this.finish();
  }

  /** The server, or the network, has ended it. */
  onClose({ code, reason, lost }) {
    if (this.state === 'idle') return;
    if (lost && this.session) {
      this.goBack();
      return;
    }
    this.finish();
    if (code !== 1000) this.emit('lost', `${reason || 'the gateway closed it'} (${code})`);
  }

  /** The connection is lost; the call is there for a while. Go back to it by another one. */
  async goBack() {
    const old = this.transport;
    const lostAt = this.lostAt ?? performance.now();
    this.returning?.abort();
    const { signal } = (this.returning = new AbortController());
    this.transport = null;
    this.lostAt = lostAt;
    this.pushed = null;
    this.responding = null;
    this.asked.clear();
    this.watch.end();
    this.become('reconnecting');
    this.cuts.push(...((await old?.abandon(this.course.soundedAt)) ?? []));
    for (const { item_id: id, audio_end_ms: ms } of this.cuts) this.conversation.change(id, { cut: true, heardMs: ms });
    try {
      await comeBack(() => this.connect(this.session.id, signal), signal);
    } catch (failure) {
      if (signal.aborted) return;
      this.finish();
      this.emit('lost', failure.message);
    } finally {
      old?.close();
    }
  }

  finish() {
    this.recorder.end(performance.now());
    this.release();
    this.watch.end();
    this.become('idle');
  }

  release() {
    this.returning?.abort();
    this.returning = this.lostAt = null;
    this.cuts = [];
    this.transport?.close();
    this.microphone?.stop();
    this.context?.close().catch(() => {});
    this.transport = this.microphone = this.context = this.meters = null;
  }

  become(state) {
    this.state = state;
    if (state === 'live' && this.recorder.began === null) this.recorder.begin(performance.now());
    this.emit('state', state);
  }

  // -- what comes and goes

  /** Who answers now, in a word. */
  get provider() {
    return this.session?.model ?? this.settings.get('model');
  }

  onSent(event) {
    this.log.add('sent', event, this.recorder.seconds(performance.now()));
  }

  onEvent(event) {
    const now = performance.now();
    this.log.add('received', event, this.recorder.seconds(now));
    this.conversation.apply(event, this.provider);
    if (this.turns.apply(event, now, this.provider)) this.emit('turns');
    this.course.apply(event, now);
    this[REACTIONS[event.type]]?.(event);
    this.emit('event', event);
  }

  begun({ session }) {
    this.session = session;
    const media = this.transport.name === 'WebRTC';
    const lostAt = this.lostAt;
    this.lostAt = null;
    this.become('live');
    if (lostAt === null) {
      this.ask('first', firstUpdate(this.settings, session, media));
    } else {
      if (!media) this.ask('first', resumedUpdate());
      for (const cut of this.cuts.splice(0)) this.send(cut);
      this.emit('back', performance.now() - lostAt);
    }
    this.watch.begin(session.id, lostAt !== null);
  }

  onPlayed(played) {
    const now = performance.now();
    this.conversation.played(played);
    this.course.played(played, now);
  }

  onProblem(text) {
    this.emit('problem', text);
  }

  send(event) {
    this.transport?.send(event);
  }

  updated({ session }) {
    this.session = session;
    // Updates are answered in their order.
    const [oldest] = this.asked.keys();
    this.asked.delete(oldest);
    this.emit('session', session);
  }

  interrupted() {
    this.transport?.userSpeaks();
  }

  responseBegan({ response }) {
    this.responding = response.id;
  }

  responseEnded({ response }) {
    if (this.responding === response.id) this.responding = null;
    const { usage } = response;
    if (usage) {
      this.tokens.input += usage.input_tokens ?? 0;
      this.tokens.output += usage.output_tokens ?? 0;
      this.emit('cost');
    }
    this.emit('responded');
    this.runTools(response);
  }

  /** Run what the response called of this page's tools, tell the results, and ask for the answer to them. */
  runTools(response) {
    if (response.status === 'cancelled' || !this.settings.get('tools')) return;
    const calls = (response.output ?? []).filter(({ type, name }) => type === 'function_call' && NAMES.has(name));
    for (const { name, call_id: id, arguments: args } of calls) {
      const item = { type: 'function_call_output', call_id: id, output: run(name, args, this.settings) };
      this.send({ type: 'conversation.item.create', item });
    }
    if (calls.length) this.answer();
  }

  refused({ error }) {
    const asked = this.asked.get(error.event_id);
    this.asked.delete(error.event_id);
    this.emit('refused', { error, asked });
  }

  // -- what the user asks for

  setMuted(muted) {
    this.muted = muted;
    this.applyGate();
    this.emit('muted', muted);
  }

  get pushToTalk() {
    return this.settings.get('turns') === 'off';
  }

  applyGate() {
    this.microphone?.setOpen(!this.muted);
    this.transport?.setGate(this.pushToTalk ? this.pushed !== null : !this.muted || this.transport?.name === 'WebSocket');
  }

  push() {
    if (this.state !== 'live' || !this.pushToTalk || this.pushed !== null || !this.microphone) return;
    this.pushed = performance.now();
    if (this.muted) this.setMuted(false);
    this.stop();
    this.send({ type: 'input_audio_buffer.clear' });
    this.applyGate();
    this.recorder.speak('you', this.pushed);
    this.emit('pushed', true);
  }

  async letGo() {
    if (this.pushed === null) return;
    const began = this.pushed;
    const now = performance.now();
    this.recorder.quiet('you', now);
    this.emit('pushed', false);
    await pause(this.transport?.tailMs ?? 0);
    this.pushed = null;
    this.applyGate();
    if (now - began < SHORTEST_PUSH_MS) {
      this.send({ type: 'input_audio_buffer.clear' });
      this.emit('problem', 'Hold the button, or the space bar, while you speak.');
      return;
    }
    this.turns.begin('push', now, now);
    this.send({ type: 'input_audio_buffer.commit' });
    await this.quiet();
    this.answer();
  }

  async say(text) {
    this.stop();
    await this.quiet();
    this.turns.begin('text', performance.now(), 0);
    const content = [{ type: 'input_text', text }];
    this.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
    this.answer();
  }

  answer() {
    this.send({ type: 'response.create' });
  }

  /** Tell the assistant something that nobody says. By the wire where the key is not an operator's. */
  async inject(note) {
    if (this.watch.id) return this.watch.inject(note);
    const content = [{ type: 'input_text', text: note.text }];
    this.send({ type: 'conversation.item.create', item: { type: 'message', role: 'system', content } });
    if (note.speak) {
      await this.quiet();
      this.answer();
    }
    return { status: 'applied' };
  }

  /** Be quiet now. */
  stop() {
    if (this.responding) this.send({ type: 'response.cancel' });
    this.transport?.interrupt();
  }

  /** Until no response is under way. */
  quiet() {
    return until(() => !this.responding, QUIET_WITHIN_MS);
  }

  changed(name) {
    if (name === 'turns') this.applyGate();
    const update = this.state === 'live' && laterUpdate(name, this.settings, this.session);
    if (!update || (name === 'model' && update.model === this.session.model)) return;
    this.ask(name, update);
    this.emit('asked', name);
  }

  /** Send an update, and remember by its id what it was for. */
  ask(name, session) {
    const id = `page_${crypto.getRandomValues(new Uint32Array(2)).join('')}`;
    this.asked.set(id, { name, before: this.session.model });
    this.send({ type: 'session.update', event_id: id, session });
  }

  /** Whether another provider was asked for, and has not taken over yet. */
  get switching() {
    return [...this.asked.values()].some(({ name }) => name === 'model');
  }
}

const REACTIONS = {
  'session.created': 'begun',
  'session.updated': 'updated',
  'input_audio_buffer.speech_started': 'interrupted',
  'response.created': 'responseBegan',
  'response.done': 'responseEnded',
  error: 'refused',
};
