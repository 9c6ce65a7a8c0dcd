// What the keyboard does. Single keys can be switched off, for those who speak to their computer.

import { byId } from './dom.js';
import { TABS } from './tabs.js';

const TYPING = 'input, textarea, select, [contenteditable]';
const PRESSED_BY_SPACE = `button, summary, a, ${TYPING}`;

export class Shortcuts {
  /** @param {{call: Call, settings: Settings, tabs: Tabs, theme: Theme, topBar: TopBar}} parts */
  constructor(parts) {
    this.parts = parts;
    const { settings, call } = parts;
    const box = byId('shortcuts-on');
    box.checked = settings.get('shortcuts');
    box.addEventListener('change', () => settings.set('shortcuts', box.checked));
    byId('help').addEventListener('click', () => byId('shortcuts').showModal());
    document.addEventListener('keydown', (event) => this.down(event));
    document.addEventListener('keyup', ({ code }) => code === 'Space' && call.letGo());
    addEventListener('blur', () => call.letGo());
    this.keys = {
      c: () => parts.topBar.toggle(),
      m: () => call.state === 'live' && call.setMuted(!call.muted),
      d: () => parts.theme.toggle(),
      i: () => this.write('mode-note'),
      '/': () => this.write('mode-message'),
      '?': () => byId('shortcuts').showModal(),
    };
    for (const [at, name] of TABS.slice(1).entries()) this.keys[at + 1] = () => parts.tabs.show(name);
    this.keys[0] = () => parts.tabs.show('talk');
  }

  write(mode) {
    this.parts.tabs.show('talk');
    byId(mode).click();
    byId('text').focus();
  }

  down(event) {
    const { target, key, code } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    const { call, settings } = this.parts;
    if (key === 'Escape') {
      if (target.matches(TYPING)) target.blur();
      else if (call.state === 'live') call.stop();
      return;
    }
    if (!settings.get('shortcuts')) return;
    if (code === 'Space' && call.pushToTalk && call.state === 'live' && !target.matches(PRESSED_BY_SPACE)) {
      event.preventDefault();
      if (!event.repeat) call.push();
      return;
    }
    if (target.matches(TYPING) || event.repeat) return;
    const act = this.keys[key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }
}
