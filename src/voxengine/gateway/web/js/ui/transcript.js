// The talk as it is read: who said what; heard words solid, words still to be heard faint, cut words struck.

import { byId, clock, eachFrame, el, icon, readable } from './dom.js';
import { Turns } from '../model/turns.js';

const STATES = {
  listening: 'Listening …',
  transcribing: 'Writing it down …',
  nothing: 'Nothing was understood.',
  untranscribed: 'It was heard, but could not be written down.',
};
/** Pixels from the end within which the reader counts as being there. */
const NEAR_END = 60;

export class Transcript {
  /** @param {Call} call */
  constructor(call) {
    this.call = call;
    this.list = byId('transcript');
    this.scroller = byId('talk-scroll');
    this.latest = byId('to-latest');
    this.announcer = byId('announcer');
    this.nodes = new Map();
    this.dirty = new Set();
    this.spoken = new Set();
    this.draw = eachFrame(() => this.flush());
    const { conversation } = call;
    conversation.on('changed', (item) => this.touch(item.id));
    conversation.on('removed', (id) => this.remove(id));
    conversation.on('cleared', () => this.clear());
    call.on('turns', () => this.touchAnswers());
    call.on('switched', (event) => this.divide(event));
    call.on('refused', ({ error }) => this.note('error', error.message));
    call.on('linked', (text) => this.note('link', text));
    this.latest.addEventListener('click', () => this.follow());
    // The reader is followed along, until they scroll back themselves.
    this.following = true;
    this.scroller.addEventListener('scroll', () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.following && this.follow()).observe(this.scroller);
  }

  touch(id) {
    this.dirty.add(id);
    this.draw();
  }

  touchAnswers() {
    const turn = this.call.turns.list.at(-1);
    for (const item of this.call.conversation.items.values()) {
      if (turn?.response && item.response === turn.response) this.touch(item.id);
    }
  }

  clear() {
    this.nodes.clear();
    this.dirty.clear();
    this.spoken.clear();
    this.list.replaceChildren();
    this.following = true;
  }

  remove(id) {
    this.nodes.get(id)?.remove();
    this.nodes.delete(id);
  }

  flush() {
    for (const id of this.dirty) {
      const item = this.call.conversation.items.get(id);
      if (item) this.place(item);
    }
    this.dirty.clear();
    if (this.following) this.follow();
    this.showLatest();
  }

  atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_END;
  }

  scrolled() {
    const { clientHeight, scrollHeight } = this.scroller;
    const same = this.seen?.clientHeight === clientHeight && this.seen.scrollHeight === scrollHeight;
    this.seen = { clientHeight, scrollHeight };
    // A scroll that comes of another size of the window is not the reader's wish.
    if (same || this.atEnd()) this.following = this.atEnd();
    this.showLatest();
  }

  follow() {
    this.following = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.showLatest();
  }

  showLatest() {
    this.latest.hidden = this.following || this.atEnd();
  }

  /** The node of an item, made anew or brought up to date, at its place. */
  place(item) {
    const content = row(item, this.call);
    const known = this.nodes.get(item.id);
    if (!content) {
      this.remove(item.id);
      return;
    }
    if (known) {
      known.className = content.className;
      known.replaceChildren(...content.childNodes);
    } else {
      this.insert(item.id, content);
    }
    this.announce(item);
  }

  insert(id, node) {
    node.dataset.item = id;
    this.nodes.set(id, node);
    const { order } = this.call.conversation;
    const after = order.slice(order.indexOf(id) + 1).find((other) => this.nodes.has(other));
    if (after) this.list.insertBefore(node, this.nodes.get(after));
    else this.list.append(node);
  }

  /** For those who listen to the page: each message once, when it stands. */
  announce(item) {
    const stands = item.role === 'user' ? item.text && !item.partial : item.cut || (item.text && item.heardMs === null);
    if (!stands || this.spoken.has(item.id) || item.type !== 'message') return;
    this.spoken.add(item.id);
    this.announcer.textContent = `${item.role === 'user' ? 'You' : 'Assistant'}: ${item.text}`;
  }

  divide({ from, to, reason }) {
    const why = reason && reason !== 'request' ? ` (${reason})` : '';
    this.note('switch', `${to} carries on${why}`, from ? `before: ${from}` : '');
    // From now on it matters who said what.
    for (const { id } of this.call.conversation.list()) this.touch(id);
  }

  note(kind, text, aside = '') {
    const picture = icon({ error: 'alert', link: 'link', switch: 'switch' }[kind]);
    this.list.append(el('li', { class: `divider ${kind}` }, el('span', {}, picture, text, el('small', {}, aside))));
    if (this.following) this.follow();
  }
}

function row(item, call) {
  if (item.type === 'function_call') return toolRow(item);
  if (item.type !== 'message') return null;
  const who = { user: 'You', assistant: 'Assistant' }[item.role] ?? 'Note';
  const time = call.recorder.began === null ? '' : clock((item.at - call.recorder.began) / 1000);
  const head = el('div', { class: 'who' }, el('b', {}, who), el('time', {}, time));
  const body = el('div', { class: 'said' }, words(item, call), ...facts(item, call));
  const classes = ['message', item.role];
  if (item.cut) classes.push('was-cut');
  return el('li', { class: classes.join(' ') }, head, body);
}

function words(item, call) {
  if (item.state && STATES[item.state] && !item.text) return el('p', { class: 'state' }, STATES[item.state]);
  if (item.role !== 'assistant') return el('p', { class: item.partial ? 'partial' : '' }, item.text);
  const [heard, rest] = call.conversation.heard(item);
  const silent = item.cut && !item.spoken;
  return el(
    'p',
    {},
    heard && el('span', { class: 'heard' }, heard),
    rest && el(item.cut ? 'del' : 'span', { class: item.cut ? 'cut' : 'ahead' }, rest),
    silent ? el('span', { class: 'state' }, item.text ? ' …' : 'Cut before it was said.') : '',
  );
}

function facts(item, call) {
  const found = [];
  const turn = item.role === 'assistant' && call.turns.list.findLast((other) => other.response && other.response === item.response);
  const felt = turn ? Turns.felt(turn) : null;
  if (item.cut && item.heardMs !== null) found.push(el('span', { class: 'fact cut-at' }, icon('cut'), `interrupted, ${readable(item.heardMs)} heard`));
  if (item.failed) found.push(el('span', { class: 'fact failed' }, icon('alert'), item.failed));
  if (felt !== null) found.push(el('span', { class: 'fact', title: 'From the end of what you said' }, icon('clock'), readable(felt)));
  if (item.typed) found.push(el('span', { class: 'fact' }, icon('keyboard'), 'typed'));
  const several = call.recorder.marks.some(({ kind }) => kind === 'switch');
  if (item.provider && several) found.push(el('span', { class: 'fact' }, item.provider));
  return found.length ? [el('div', { class: 'facts' }, ...found)] : [];
}

function toolRow(item) {
  const open = item.output === null;
  const call = el('summary', {}, icon('tool'), el('code', {}, item.name), el('span', { class: 'args' }, item.args || '{}'));
  const result = el('pre', {}, open ? 'waiting for its result …' : pretty(item.output));
  const box = el('details', { class: 'tool' }, call, result);
  box.open = !open && item.output.length < 200;
  const state = el('span', { class: 'fact' }, open ? 'running' : 'done');
  return el('li', { class: 'message call' }, el('div', { class: 'who' }, el('b', {}, 'Tool'), state), box);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 1).replaceAll(/\n\s*/gu, ' ');
  } catch {
    return text;
  }
}
