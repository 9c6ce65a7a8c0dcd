// What the user has to be told besides the talk: short messages that go, and a banner that stays.

import { byId, el, icon } from './dom.js';

const STAYS_MS = 6000;
const MAX_NOTICES = 3;

/** @param {'good' | 'bad' | 'plain'} kind */
export function notify(kind, text) {
  const box = byId('notices');
  const notice = el('div', { class: `notice ${kind}` }, icon(kind === 'bad' ? 'alert' : 'info'), el('span', {}, text));
  box.append(notice);
  while (box.childElementCount > MAX_NOTICES) box.firstChild.remove();
  setTimeout(() => notice.remove(), STAYS_MS);
}

/** A banner above the talk; "" takes it away. */
export function banner(text) {
  byId('banner').hidden = !text;
  byId('banner-text').textContent = text;
}
