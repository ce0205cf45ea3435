/*
 * Draws Vega-Lite specifications as SVG. Only this file loads Vega and Vega-Lite, which are optional
 * dependencies.
 */

/** Functions of the packages that are used here. */
interface Vega {
  parse(spec: unknown): unknown;
  View: new (runtime: unknown, options: { renderer: 'none' }) => { toSVG(): Promise<string> };
}
interface VegaLite {
  compile(spec: unknown): { spec: unknown };
}

/** A Vega-Lite specification. */
export type Spec = Record<string, unknown>;

/** Draws a figure: resolves to its SVG, the same bytes for the same specification. */
type Draw = (spec: Spec) => Promise<string>;

/** Loads the packages. Rejects, saying how to install them, where one cannot be loaded. */
export async function loadVega(): Promise<Draw> {
  const load = async (name: string): Promise<unknown> => {
    try {
      return await import(name);
    } catch (cause) {
      const [why] = (cause as Error).message.split('\n');
      throw new Error(`${name} could not be loaded (${why}); install it: \`npm install vega vega-lite\``, {
        cause,
      });
    }
  };
  const vega = (await load('vega')) as Vega;
  const vegaLite = (await load('vega-lite')) as VegaLite;
  return async (spec) => {
    const runtime = vega.parse(vegaLite.compile(spec).spec);
    return await new vega.View(runtime, { renderer: 'none' }).toSVG();
  };
}

/**
 * Colours of Okabe and Ito, which colour-blind readers can distinguish too, and three more, legible on light
 * and dark pages.
 */
export const palette = {
  blue: '#0072b2',
  vermilion: '#d55e00',
  green: '#009e73',
  purple: '#cc79a7',
  orange: '#e69f00',
  sky: '#56b4e9',
  violet: '#7263c8',
  olive: '#8a8a2b',
  grey: '#808080',
};
