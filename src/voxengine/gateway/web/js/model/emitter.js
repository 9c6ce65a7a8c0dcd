// Who wants to know of what.

export class Emitter {
  constructor() {
    this.listeners = new Map();
  }

  on(name, listener) {
    if (!this.listeners.has(name)) this.listeners.set(name, []);
    this.listeners.get(name).push(listener);
    return this;
  }

  emit(name, value) {
    for (const listener of this.listeners.get(name) ?? []) listener(value);
  }
}
