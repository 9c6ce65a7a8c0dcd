// What the user has chosen. All of it is kept by the browser, except the key, which lives elsewhere and shorter.

import { Emitter } from './model/emitter.js';

const STORED = 'voxengine.playground';
const DEFAULTS = {
  model: '',
  voice: '',
  turns: 'server_vad',
  transport: 'auto',
  instructions: '',
  tools: false,
  processing: true,
  deviceId: '',
  theme: 'auto',
  shortcuts: true,
};

export class Settings extends Emitter {
  constructor() {
    super();
    this.values = { ...DEFAULTS, ...stored() };
  }

  get(name) {
    return this.values[name];
  }

  set(name, value) {
    if (this.values[name] === value) return;
    this.values[name] = value;
    localStorage.setItem(STORED, JSON.stringify(this.values));
    this.emit(name, value);
    this.emit('changed', name);
  }
}

function stored() {
  try {
    const found = JSON.parse(localStorage.getItem(STORED) ?? '{}');
    return Object.fromEntries(Object.entries(found).filter(([name]) => name in DEFAULTS));
  } catch {
    return {};
  }
}
