// A JSON value as coloured text that folds.

import { el } from './dom.js';

/** Objects and lists deeper than this are folded at first. */
const OPEN_TO = 5;

/** @returns {HTMLElement} */
export function drawJson(value, depth = 0) {
  if (value === null || typeof value !== 'object') {
    const kind = value === null ? 'null' : typeof value;
    return el('span', { class: `json-${kind}` }, JSON.stringify(value));
  }
  const list = Array.isArray(value);
  const entries = Object.entries(value);
  const [left, right] = list ? ['[', ']'] : ['{', '}'];
  if (!entries.length) return el('span', {}, left + right);
  const head = el('summary', {}, left, el('span', { class: 'json-size' }, ` ${entries.length} `));
  const rows = entries.map(([name, part]) =>
    el('div', {}, list ? '' : el('span', { class: 'json-name' }, name), list ? '' : ': ', drawJson(part, depth + 1)),
  );
  const box = el('details', { class: 'json' }, head, el('div', { class: 'json-body' }, ...rows), right);
  box.dataset.right = right;
  box.open = depth < OPEN_TO;
  return box;
}
