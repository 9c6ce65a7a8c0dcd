// What a test, or the console, may look at: `voxPlayground`.

import { Turns } from './model/turns.js';

/** @param {{call: Call, settings: Settings}} parts */
export function expose({ call, settings }) {
  globalThis.voxPlayground = Object.freeze({
    get state() {
      return call.state;
    },
    get transport() {
      return call.transport?.name ?? null;
    },
    get model() {
      return call.session?.model ?? null;
    },
    get callId() {
      return call.watch.id;
    },
    get items() {
      return call.conversation.list().map((item) => {
        const [heard, rest] = call.conversation.heard(item);
        return { ...item, heard, [item.cut ? 'struck' : 'ahead']: rest };
      });
    },
    /** Root mean squares, 0..1, by AnalyserNodes: now, and the loudest since the call began. */
    get levels() {
      const loudest = { input: call.meters?.input.loudest ?? 0, output: call.meters?.output.loudest ?? 0 };
      return { ...call.course.levels, loudest };
    },
    get events() {
      return call.log.count;
    },
    get turns() {
      return call.turns.list.map((turn) => ({ ...turn, felt: Turns.felt(turn) }));
    },
    get marks() {
      return [...call.recorder.marks];
    },
    get cost() {
      return call.cost?.usd ?? null;
    },
    get settings() {
      return { ...settings.values };
    },
  });
}
