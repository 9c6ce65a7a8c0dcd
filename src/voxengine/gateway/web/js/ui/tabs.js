// The tabs: beside the talk on a wide screen, instead of it on a narrow one.

import { byId } from './dom.js';

export const TABS = ['talk', 'events', 'latency', 'call', 'setup'];
const NARROW = matchMedia('(max-width: 860px)');

export class Tabs {
  constructor() {
    this.buttons = TABS.map((name) => byId(`tab-${name}`));
    for (const [at, button] of this.buttons.entries()) button.addEventListener('click', () => this.show(TABS[at]));
    byId('tabs').addEventListener('keydown', (event) => this.walk(event));
    NARROW.addEventListener('change', () => this.show(NARROW.matches ? 'talk' : this.side));
    this.side = 'events';
    this.show(NARROW.matches ? 'talk' : 'events');
  }

  show(name) {
    this.current = name === 'talk' && !NARROW.matches ? this.side : name;
    if (this.current !== 'talk') this.side = this.current;
    for (const [at, button] of this.buttons.entries()) {
      const chosen = TABS[at] === this.current;
      button.setAttribute('aria-selected', String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      // On a wide screen the talk is always there.
      byId(`panel-${TABS[at]}`).classList.toggle('chosen', chosen);
    }
  }

  walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const there = this.buttons.filter((button) => button.offsetParent !== null);
    const now = there.findIndex((button) => button.getAttribute('aria-selected') === 'true');
    const next = there[(now + step + there.length) % there.length];
    next.focus();
    next.click();
  }
}
