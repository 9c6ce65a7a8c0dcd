// The call over time: both sides' levels, who spoke when, and what happened.

import { byId, clock, eachFrame, el, svg } from './dom.js';
import { STEP } from '../model/recorder.js';

const HEIGHT = 232;
const LANES = { you: { top: 22, base: 96 }, assistant: { top: 124, base: 198 } };
const BAND = 6;
const WINDOW = 60;
const REDRAW_MS = 200;

export class Graph {
  /** @param {Call} call */
  constructor(call) {
    this.call = call;
    this.box = byId('graph');
    this.whole = false;
    this.draw = eachFrame(() => this.render());
    call.on('marked', () => this.marks());
    call.on('state', () => {
      this.marks();
      this.draw();
    });
    for (const id of ['span-minute', 'span-whole']) {
      byId(id).addEventListener('change', () => {
        this.whole = byId('span-whole').checked;
        this.draw();
      });
    }
    new ResizeObserver(this.draw).observe(this.box);
    setInterval(() => {
      if (call.state === 'live' && this.box.clientWidth) this.draw();
    }, REDRAW_MS);
    this.marks();
  }

  render() {
    const width = this.box.clientWidth;
    if (!width) return;
    const { recorder } = this.call;
    const now = recorder.seconds(performance.now());
    const length = this.whole ? Math.max(10, now) : WINDOW;
    const from = this.whole ? 0 : Math.max(0, now - WINDOW);
    const x = (seconds) => ((seconds - from) / length) * width;
    const view = { width, from, to: from + length, now, x };
    const drawing = svg('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: 'img', 'aria-label': this.words(now) });
    drawing.append(
      ...this.axis(view),
      ...this.spans(view),
      this.levels(recorder.input, 'you', view),
      this.levels(recorder.output, 'assistant', view),
      ...this.events(view),
    );
    this.box.replaceChildren(drawing);
    this.figures(now);
  }

  axis({ width, from, to, x }) {
    const step = [5, 10, 30, 60, 300, 600, 1800].find((seconds) => (to - from) / seconds <= Math.max(4, width / 70)) ?? 3600;
    const parts = [];
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      parts.push(svg('line', { class: 'tick', x1: x(at), x2: x(at), y1: 18, y2: HEIGHT - 18 }));
      const label = svg('text', { class: 'axis', x: x(at) + 3, y: HEIGHT - 5 });
      label.textContent = clock(at);
      parts.push(label);
    }
    for (const [name, { top }] of [['You', LANES.you], ['Assistant', LANES.assistant]]) {
      const label = svg('text', { class: `lane ${name.toLowerCase()}`, x: 0, y: top - 8 });
      label.textContent = name;
      parts.push(label);
    }
    return parts;
  }

  spans({ now, from, to, x }) {
    return this.call.recorder.spans
      .filter((span) => (span.to ?? now) > from && span.from < to)
      .map((span) => {
        const left = x(Math.max(from, span.from));
        const wide = Math.max(1, x(Math.min(to, span.to ?? now)) - left);
        return svg('rect', { class: `band ${span.who}${span.cut ? ' cut' : ''}`, x: left, width: wide, y: LANES[span.who].base + 2, height: BAND, rx: 2 });
      });
  }

  /** An area over the lane's base; where there are more levels than pixels, the loudest of each. */
  levels(samples, who, { width, from, to, x }) {
    const { top, base } = LANES[who];
    const first = Math.floor(from / STEP);
    const last = Math.min(samples.length, Math.ceil(to / STEP));
    const each = Math.max(1, Math.floor((last - first) / width));
    let path = '';
    for (let at = first; at < last; at += each) {
      let level = 0;
      for (let n = at; n < Math.min(last, at + each); n += 1) level = Math.max(level, samples[n] ?? 0);
      path += `${path ? 'L' : `M${x(at * STEP).toFixed(1)},${base}L`}${x(at * STEP).toFixed(1)},${(base - level * (base - top)).toFixed(1)}`;
    }
    if (path) path += `L${x((last - 1) * STEP).toFixed(1)},${base}Z`;
    return svg('path', { class: `level ${who}`, d: path });
  }

  events({ from, to, x }) {
    return this.call.recorder.marks
      .filter(({ at }) => at >= from && at <= to)
      .map(({ at, kind, text }) => {
        const title = svg('title');
        title.textContent = `${clock(at)} ${text}`;
        return svg(
          'g',
          { class: `mark ${kind}` },
          title,
          svg('line', { x1: x(at), x2: x(at), y1: 14, y2: HEIGHT - 24 }),
          svg('circle', { cx: x(at), cy: 10, r: 4.5 }),
        );
      });
  }

  figures(now) {
    const { recorder } = this.call;
    const talked = recorder.talked(performance.now());
    const count = (kind) => recorder.marks.filter((mark) => mark.kind === kind).length;
    const figures = [
      ['Length', clock(now)],
      ['You', clock(talked.you)],
      ['Assistant', clock(talked.assistant)],
      ['Interruptions', String(count('cut'))],
      ['Switches', String(count('switch'))],
      ['Tools', String(count('tool'))],
    ];
    byId('call-figures').replaceChildren(...figures.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
  }

  words(now) {
    const { recorder } = this.call;
    const talked = recorder.talked(performance.now());
    return `The call so far: ${clock(now)}; you spoke ${clock(talked.you)}, the assistant ${clock(talked.assistant)}; ${recorder.marks.length} moments, listed below.`;
  }

  /** The same moments as a list. */
  marks() {
    const { marks } = this.call.recorder;
    byId('moments-empty').hidden = marks.length > 0;
    byId('moments').replaceChildren(
      ...marks.toReversed().slice(0, 200).map(({ at, kind, text }) => el('li', { class: kind }, el('time', {}, clock(at)), el('i', { class: `dot ${kind}` }), el('span', {}, text))),
    );
    this.draw();
  }
}
