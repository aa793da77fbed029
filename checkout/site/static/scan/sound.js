/** Sound: each answer as notes and as a pattern of shaking, so that it is known without looking. */

const NOTES = {
  go: [[660, 0, 0.09], [990, 0.1, 0.16]],
  same: [[660, 0, 0.12]],
  care: [[440, 0, 0.14], [440, 0.2, 0.14]],
  stop: [[185, 0, 0.16], [185, 0.22, 0.16], [139, 0.44, 0.34]],
};
const SHAKES = { go: [90], same: [40], care: [120, 90, 120], stop: [250, 100, 250, 100, 400] };

export function openSound() {
  let air = null, isOn = true;
  return {
    /** Browsers let a page sound only once somebody has touched it. */
    wake() {
      air ??= new AudioContext();
      if (air.state === "suspended") air.resume();
    },
    get isOn() { return isOn; },
    set isOn(on) { isOn = on; },
    play(kind) {
      navigator.vibrate?.(SHAKES[kind]);
      if (!isOn || air === null) return;
      for (const [hertz, after, length] of NOTES[kind]) {
        const from = air.currentTime + after, note = air.createOscillator(), loud = air.createGain();
        note.type = kind === "stop" ? "square" : "triangle";
        note.frequency.value = hertz;
        loud.gain.setValueAtTime(kind === "stop" ? 0.25 : 0.5, from);
        loud.gain.exponentialRampToValueAtTime(0.001, from + length);
        note.connect(loud).connect(air.destination);
        note.start(from);
        note.stop(from + length);
      }
    },
  };
}
