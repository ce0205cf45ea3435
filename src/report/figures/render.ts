import path from 'node:path';
import { writeAtomically } from '../../files/output.js';
import { loadVega, type Spec } from './vega.js';

/*
 * Writes figures as files. Vega draws them; resvg, an optional dependency too, makes the pixels.
 */

export interface Renderer {
  /**
   * Writes a figure into a folder, as specification, SVG and PNG of twice its size; resolves to the SVG for a
   * page.
   */
  write(folder: string, name: string, spec: Spec): Promise<string>;
}

interface Resvg {
  Resvg: new (
    svg: string,
    options: {
      fitTo: { mode: 'zoom'; value: number };
      font: { loadSystemFonts: boolean; defaultFontFamily: string };
    },
  ) => { render(): { asPng(): Uint8Array } };
}

/**
 * Loads the renderer; resolves to the reason why there are no figures where its packages are not installed.
 */
export async function loadRenderer(): Promise<Renderer | string> {
  try {
    const draw = await loadVega();
    const { Resvg } = (await import('@resvg/resvg-js')) as unknown as Resvg;
    const options = {
      fitTo: { mode: 'zoom' as const, value: 2 },
      font: { loadSystemFonts: true, defaultFontFamily: 'DejaVu Sans' },
    };
    return {
      async write(folder, name, spec) {
        const svg = ownIds(asXml(await draw(spec)), name);
        const contents = [
          `${JSON.stringify(spec, undefined, 1)}\n`,
          onPaper(svg),
          new Resvg(onPaper(svg), options).render().asPng(),
        ];
        for (const [i, file] of figureFiles(name).entries())
          writeAtomically(path.join(folder, file), [contents[i]!]);
        return svg;
      },
    };
  } catch (error) {
    const [why] = (error as Error).message.split('\n');
    return `No figures: they take the optional packages vega, vega-lite and @resvg/resvg-js (${why}).`;
  }
}

/** Names of the files of a figure: specification, SVG and PNG. */
export function figureFiles(name: string): string[] {
  return ['vl.json', 'svg', 'png'].map((extension) => `${name}.${extension}`);
}

/** Replaces characters that XML cannot contain. */
function asXml(svg: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  return svg.replace(/[\0-\x08\v\f\x0e-\x1f\ufffe\uffff]/g, '\ufffd');
}

/** The figure in dark ink on white, in a font that is always there. */
function onPaper(svg: string): string {
  return svg
    .replaceAll('currentColor', '#222222')
    .replaceAll('system-ui, sans-serif', 'DejaVu Sans, Arial, sans-serif')
    .replace(/(<svg[^>]*>)/, '$1<rect width="100%" height="100%" fill="white"/>');
}

/**
 * Replaces the ids of gradients and clips. Vega numbers them over all figures; a page of several figures
 * needs unique ids that are always the same.
 */
function ownIds(svg: string, figure: string): string {
  const ids = new Map<string, string>();
  return svg.replace(/\b(?:gradient_|clip)\d+\b/g, (id) => {
    if (!ids.has(id)) ids.set(id, `${figure}-${ids.size}`);
    return ids.get(id)!;
  });
}
