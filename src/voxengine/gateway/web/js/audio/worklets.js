// Loads the code of the audio thread, once per context.

const loaded = new WeakMap();

/** @param {BaseAudioContext} context @param {'capture' | 'playback'} name */
export function worklet(context, name) {
  if (!loaded.has(context)) loaded.set(context, {});
  const known = loaded.get(context);
  known[name] ??= context.audioWorklet.addModule(new URL(`./${name}-worklet.js`, import.meta.url));
  return known[name];
}
