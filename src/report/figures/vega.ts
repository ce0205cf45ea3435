/*
 * Vega-Lite specifications to SVG. Vega and Vega-Lite, optional dependencies, are loaded only here.
 */

/** What we use of them. */
interface Vega {
  parse(spec: unknown): unknown;
  View: new (runtime: unknown, options: { renderer: 'none' }) => { toSVG(): Promise<string> };
}
interface VegaLite {
  compile(spec: unknown): { spec: unknown };
}

/** A Vega-Lite specification. */
export type Spec = Record<string, unknown>;

/** Resolves to the figure as SVG, the same bytes for the same specification. */
type Draw = (spec: Spec) => Promise<string>;

/** Resolves to what draws. Throws how to install the packages where they are not there. */
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

/** Okabe and Ito's colours, which the colour-blind can tell apart too. */
export const palette = {
  blue: '#0072b2',
  vermilion: '#d55e00',
  green: '#009e73',
  purple: '#cc79a7',
  orange: '#e69f00',
  sky: '#56b4e9',
};
