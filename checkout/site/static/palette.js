/**
 * Palette: the colours of the map, read from the style sheet, so that light, dark and forced colours are decided there.
 */

const probe = () => document.createElement("canvas").getContext("2d", { willReadFrequently: true });
let pen = null;

/** Any CSS colour as [red, green, blue]. */
function rgb(colour) {
  pen ??= probe();
  pen.fillStyle = "#000";
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;

export function readPalette(node) {
  const style = getComputedStyle(node);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  const tiers = Array.from({ length: 16 }, (_, tier) => of(`tier-${tier % 8}`));
  const ground = rgb(of("section"));
  const mixes = new Map();
  const named = Object.fromEntries(
    ["floor", "section", "edge", "ink", "soft", "taken", "faded", "own", "onown", "ontier", "ring", "stage", "empty"]
      .map((name) => [name, of(name)]),
  );
  return {
    ...named, tiers, font: style.fontFamily,
    /** A tier's colour over the section's, for how much of it is free (0 to 1). */
    area(tier, share) {
      const level = Math.round(share * 12), key = tier * 16 + level;
      if (!mixes.has(key)) {
        const colour = rgb(tiers[tier]), weight = 0.14 + 0.44 * (level / 12);
        mixes.set(key, css(ground.map((value, at) => Math.round(value + (colour[at] - value) * weight))));
      }
      return mixes.get(key);
    },
  };
}
