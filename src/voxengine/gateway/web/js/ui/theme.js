// Light or dark: the system's choice, until the user makes one.

import { byId } from './dom.js';

const DARK = matchMedia('(prefers-color-scheme: dark)');

export class Theme {
  /** @param {Settings} settings */
  constructor(settings) {
    this.settings = settings;
    byId('theme').addEventListener('click', () => this.toggle());
    settings.on('theme', () => this.apply());
    DARK.addEventListener('change', () => this.apply());
    this.apply();
  }

  get dark() {
    const wish = this.settings.get('theme');
    return wish === 'auto' ? DARK.matches : wish === 'dark';
  }

  toggle() {
    const next = this.dark ? 'light' : 'dark';
    // Back to what the system says, if that is the same.
    this.settings.set('theme', (next === 'dark') === DARK.matches ? 'auto' : next);
  }

  apply() {
    const wish = this.settings.get('theme');
    if (wish === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = wish;
    const button = byId('theme');
    button.querySelector('use').setAttribute('href', this.dark ? '#i-sun' : '#i-moon');
    button.setAttribute('aria-label', this.dark ? 'Use light colours' : 'Use dark colours');
  }
}
