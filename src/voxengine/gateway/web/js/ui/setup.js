// The tab with what is set once: instructions, tools, microphone, transport, key.

import { keys } from '../api.js';
import { byId, el } from './dom.js';

export class Setup {
  /** @param {Call} call @param {Settings} settings */
  constructor(call, settings) {
    this.call = call;
    this.settings = settings;
    for (const name of ['instructions', 'transport', 'deviceId']) this.bind(name, 'value');
    for (const name of ['tools', 'processing']) this.bind(name, 'checked');
    byId('forget-key').addEventListener('click', () => {
      keys.set('');
      location.reload();
    });
    call.on('state', () => this.render());
    this.render();
  }

  bind(name, property) {
    const control = byId(`set-${name}`);
    control[property] = this.settings.get(name);
    control.addEventListener('change', () => this.settings.set(name, control[property]));
  }

  async render() {
    byId('forget-key').hidden = !keys.get();
    // Names of devices are told only to a page that may listen.
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    const microphones = devices.filter(({ kind, deviceId }) => kind === 'audioinput' && deviceId && deviceId !== 'default');
    const menu = byId('set-deviceId');
    menu.replaceChildren(
      el('option', { value: '' }, "The system's choice"),
      ...microphones.map(({ deviceId, label }, at) => el('option', { value: deviceId }, label || `Microphone ${at + 1}`)),
    );
    menu.value = this.settings.get('deviceId');
    if (menu.selectedIndex < 0) menu.value = '';
  }
}
