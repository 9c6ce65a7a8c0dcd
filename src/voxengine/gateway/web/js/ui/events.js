// The inspector of events: everything that went over the wire, to be filtered and looked into.

import { byId, eachFrame, el } from './dom.js';
import { drawJson } from './json.js';

const SHOWN = 500;

export class Events {
  /** @param {EventLog} log */
  constructor(log) {
    this.log = log;
    this.list = byId('event-list');
    this.detail = byId('event-detail');
    this.filter = byId('event-filter');
    this.number = byId('event-count');
    this.paused = false;
    this.chosen = null;
    this.rows = new Map();
    this.fresh = [];
    this.grown = new Set();
    this.draw = eachFrame(() => this.flush());
    log.on('added', (entry) => this.take(entry));
    log.on('grown', (entry) => {
      this.grown.add(entry);
      this.draw();
    });
    log.on('cleared', () => this.redraw());
    this.wire();
  }

  wire() {
    this.filter.addEventListener('input', () => this.redraw());
    for (const id of ['show-sent', 'show-received', 'show-audio']) byId(id).addEventListener('change', () => this.redraw());
    byId('event-pause').addEventListener('click', ({ currentTarget }) => {
      this.paused = !this.paused;
      currentTarget.setAttribute('aria-pressed', String(this.paused));
      if (!this.paused) this.redraw();
    });
    byId('event-clear').addEventListener('click', () => this.log.clear());
    byId('event-save').addEventListener('click', () => save(this.log.lines()));
    byId('event-close').addEventListener('click', () => this.choose(null));
    byId('event-copy').addEventListener('click', () => {
      navigator.clipboard?.writeText(JSON.stringify(this.chosen.event, null, 2));
    });
    this.list.addEventListener('click', ({ target }) => {
      const row = target.closest('li');
      if (row) this.choose(row.entry);
    });
    this.list.addEventListener('keydown', (event) => this.walk(event));
  }

  take(entry) {
    if (this.paused) return;
    this.fresh.push(entry);
    this.draw();
  }

  fits(entry) {
    if (!byId(entry.way === 'sent' ? 'show-sent' : 'show-received').checked) return false;
    if (entry.audio && !byId('show-audio').checked) return false;
    const wanted = this.filter.value.trim().toLowerCase().split(/\s+/u);
    const text = JSON.stringify(entry.event).toLowerCase();
    return wanted.every((word) => (word.startsWith('-') && word.length > 1 ? !text.includes(word.slice(1)) : text.includes(word)));
  }

  redraw() {
    this.rows.clear();
    this.list.replaceChildren();
    if (!this.log.entries.length) this.choose(null);
    this.fresh = this.log.entries.filter((entry) => this.fits(entry)).slice(-SHOWN);
    this.flush();
  }

  flush() {
    const end = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    const nodes = this.fresh.filter((entry) => this.fits(entry)).map((entry) => this.row(entry));
    this.fresh = [];
    this.list.append(...nodes);
    while (this.list.childElementCount > SHOWN) {
      this.rows.delete(this.list.firstChild.entry);
      this.list.firstChild.remove();
    }
    for (const entry of this.grown) {
      const times = this.rows.get(entry)?.querySelector('.times');
      if (times) times.textContent = run(entry);
    }
    this.grown.clear();
    this.number.textContent = `${this.list.childElementCount} of ${this.log.count}`;
    if (end) this.list.scrollTop = this.list.scrollHeight;
  }

  row(entry) {
    const { event, way, at } = entry;
    const node = el(
      'li',
      { class: `${way} ${kindOf(event.type)}`, role: 'option', id: `event-${entry.number}`, 'aria-selected': String(entry === this.chosen) },
      el('span', { class: 'at' }, at.toFixed(3)),
      el('span', { class: 'way', title: way }, way === 'sent' ? '↑' : '↓'),
      el('span', { class: 'type' }, event.type),
      el('span', { class: 'gist' }, gist(event)),
      el('span', { class: 'times' }, run(entry)),
    );
    node.entry = entry;
    this.rows.set(entry, node);
    return node;
  }

  choose(entry) {
    this.rows.get(this.chosen)?.setAttribute('aria-selected', 'false');
    this.chosen = entry;
    this.detail.hidden = !entry;
    if (!entry) return;
    const row = this.rows.get(entry);
    row?.setAttribute('aria-selected', 'true');
    row?.scrollIntoView({ block: 'nearest' });
    this.list.setAttribute('aria-activedescendant', `event-${entry.number}`);
    byId('event-title').textContent = entry.event.type;
    byId('event-json').replaceChildren(drawJson(entry.event));
  }

  walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape' && this.chosen) {
      event.stopPropagation();
      this.choose(null);
    }
    if (!step) return;
    event.preventDefault();
    const rows = [...this.list.children];
    const now = rows.findIndex((row) => row.entry === this.chosen);
    const next = now < 0 ? rows.at(-1) : rows[Math.min(rows.length - 1, Math.max(0, now + step))];
    if (next) this.choose(next.entry);
  }
}

function run({ audio, times, ms }) {
  return audio ? `×${times} · ${(ms / 1000).toFixed(1)} s` : '';
}

/** What colours the row. */
function kindOf(type) {
  if (type === 'error') return 'is-error';
  if (type.includes('speech_') || type.includes('truncate') || type.includes('cancel')) return 'is-turn';
  if (type.startsWith('response.')) return 'is-response';
  if (type.startsWith('session.')) return 'is-session';
  return 'is-item';
}

/** The one thing of an event that one wants to see at a glance. */
function gist(event) {
  const { delta, transcript, text, error, response, item, session } = event;
  if (error) return error.message ?? '';
  if (typeof delta === 'string' && !event.type.endsWith('audio.delta')) return delta;
  if (transcript ?? text) return transcript ?? text;
  if (response?.status) return [response.status, response.status_details?.reason].filter(Boolean).join(' · ');
  if (item) return [item.type, item.role, item.name].filter(Boolean).join(' · ');
  if (session?.model) return session.model;
  if (event.audio_end_ms !== undefined) return `at ${event.audio_end_ms} ms`;
  if (event.audio_start_ms !== undefined) return `at ${event.audio_start_ms} ms`;
  return '';
}

function save(text) {
  const link = el('a', { href: URL.createObjectURL(new Blob([text], { type: 'application/x-ndjson' })), download: 'call-events.jsonl' });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
