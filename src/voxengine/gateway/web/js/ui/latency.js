// How long each answer took: a bar a turn, all on one scale.

import { byId, eachFrame, el, readable } from './dom.js';
import { STAGES, Turns } from '../model/turns.js';

const KINDS = { speech: 'spoken', push: 'push to talk', text: 'typed' };
/** The gateway's own figures, as the engine names them. */
const GATEWAY = [
  ['turn_decided_ms', 'decided'],
  ['transcript_ms', 'transcript'],
  ['first_token_ms', 'first token'],
  ['first_audio_ms', 'first audio'],
  ['first_audible_ms', 'audible'],
];

export class Latency {
  /** @param {Call} call */
  constructor(call) {
    this.call = call;
    this.list = byId('turn-list');
    this.draw = eachFrame(() => this.render());
    call.on('turns', this.draw);
    call.on('state', this.draw);
    call.on('responded', this.draw);
    byId('latency-legend').append(
      ...STAGES.map(([name, label]) => el('li', {}, el('i', { class: `swatch stage-${name}` }), label)),
    );
    this.render();
  }

  render() {
    const { turns } = this.call;
    const { count, median, slowest, best } = turns.summary();
    const figures = [
      ['Turns', String(count)],
      ['Median', readable(median)],
      ['Best', readable(best)],
      ['Slowest', readable(slowest)],
    ];
    byId('latency-figures').replaceChildren(...figures.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
    byId('latency-empty').hidden = count > 0;
    byId('latency-legend').hidden = count === 0;
    const longest = Math.max(500, ...turns.list.map((turn) => Math.max(0, ...Object.values(turn.stages))));
    this.list.replaceChildren(...turns.list.toReversed().map((turn) => this.row(turn, longest)));
  }

  row(turn, longest) {
    const felt = Turns.felt(turn);
    const head = el(
      'div',
      { class: 'turn-head' },
      el('b', {}, `Turn ${turn.number}`),
      el('span', {}, [KINDS[turn.kind], turn.provider].filter(Boolean).join(' · ')),
      el('span', { class: turn.status === 'cancelled' ? 'turn-cut' : '' }, turn.status === 'cancelled' ? 'interrupted' : ''),
      el('strong', {}, felt === null && turn.status !== 'cancelled' && turn.status ? 'no answer' : readable(felt)),
    );
    return el('li', { class: 'turn' }, head, bar(turn, longest), numbers(turn), gateway(turn));
  }
}

function reached(turn) {
  return STAGES.filter(([name]) => turn.stages[name] !== undefined)
    .map(([name, label]) => ({ name, label, ms: turn.stages[name] }))
    .sort((a, b) => a.ms - b.ms);
}

function bar(turn, longest) {
  const stages = reached(turn);
  const track = el('div', { class: 'bar', role: 'img', 'aria-label': stages.map(({ label, ms }) => `${label} ${readable(ms)}`).join(', ') });
  let from = 0;
  for (const { name, label, ms } of stages) {
    const part = el('i', { class: `stage-${name}`, title: `${label}: ${readable(ms)}` });
    part.style.left = `${(from / longest) * 100}%`;
    part.style.width = `${((ms - from) / longest) * 100}%`;
    track.append(part);
    from = ms;
  }
  if (turn.transcript !== undefined) {
    const mark = el('i', { class: 'transcript-mark', title: `Transcript: ${readable(turn.transcript)}` });
    mark.style.left = `${Math.min(100, (turn.transcript / longest) * 100)}%`;
    track.append(mark);
  }
  return track;
}

function numbers(turn) {
  const parts = reached(turn).map(({ name, label, ms }) => el('span', {}, el('i', { class: `swatch stage-${name}` }), `${label} `, el('b', {}, readable(ms))));
  if (turn.transcript !== undefined) parts.push(el('span', {}, el('i', { class: 'swatch at-transcript' }), 'Transcript ', el('b', {}, readable(turn.transcript))));
  return el('div', { class: 'numbers' }, ...parts);
}

function gateway(turn) {
  if (!turn.gateway) return null;
  const known = GATEWAY.filter(([name]) => typeof turn.gateway[name] === 'number');
  const text = known.map(([name, label]) => `${label} ${Math.round(turn.gateway[name])}`).join(' · ');
  return text ? el('div', { class: 'gateway-figures' }, el('b', {}, 'gateway '), `${text} ms`) : null;
}
